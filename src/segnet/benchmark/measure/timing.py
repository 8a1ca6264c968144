"""A clock for benchmarks: warm-up, a synchronised device, median and spread."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Wall times of repeated calls, in milliseconds.

    Attributes:
        median_ms: of all calls after the warm-up.
        min_ms: the fastest.
        max_ms: the slowest.
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
    """Times `action`; a GPU is waited for before each look at the clock.

    Args:
        action: what is timed.
        repeats: calls that count.
        warmup: calls before them.
        prepare: called before each call of `action`, outside the clock.
    """
    times = []
    for turn in range(warmup + repeats):
        prepare()
        _wait()
        began = time.perf_counter()
        action()
        _wait()
        if turn >= warmup:
            times.append((time.perf_counter() - began) * 1e3)
    return Timing(statistics.median(times), min(times), max(times))


def measure_in_turn(actions: dict[str, Callable[[], object]], *, repeats: int = 9) -> dict[str, Timing]:
    """Times several actions A B C A B C ..., so that a machine whose speed drifts is fair to all."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 2):
        for name, action in actions.items():
            once = measure(action, repeats=1, warmup=0)
            if turn >= 2:
                times[name].append(once.median_ms)
    return {name: Timing(statistics.median(t), min(t), max(t)) for name, t in times.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
