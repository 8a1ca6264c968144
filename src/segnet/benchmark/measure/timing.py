"""Timing for benchmarks: warm-up, device synchronisation, median and spread."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Wall times of repeated calls, in milliseconds.

    Attributes:
        median_ms: median of the calls after the warm-up.
        min_ms: fastest call.
        max_ms: slowest call.
    """

    median_ms: float
    min_ms: float
    max_ms: float


def measure(
    action: Callable[[], object],
    *,
    repeats: int = 9,
    warmup: int = 2,
    prepare: Callable[[], object] = lambda: None,
) -> Timing:
    """Times `action`; a GPU is synchronised before each reading of the clock.

    Args:
        action: function to time.
        repeats: timed calls.
        warmup: calls before them, not timed.
        prepare: called before each call of `action`, not timed.
    """
    times = []
    for turn in range(warmup + repeats):
        prepare()
        _synchronise()
        began = time.perf_counter()
        action()
        _synchronise()
        if turn >= warmup:
            times.append((time.perf_counter() - began) * 1e3)
    return Timing(statistics.median(times), min(times), max(times))


def measure_in_turn(actions: dict[str, Callable[[], object]], *, repeats: int = 9) -> dict[str, Timing]:
    """Times several actions alternately, A B C A B C ..., so that drift of the machine's speed affects all alike."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 2):
        for name, action in actions.items():
            once = measure(action, repeats=1, warmup=0)
            if turn >= 2:
                times[name].append(once.median_ms)
    return {name: Timing(statistics.median(t), min(t), max(t)) for name, t in times.items()}


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
