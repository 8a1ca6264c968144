"""How lean a model must be to take no more than a given time on this machine."""

import math
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from segnet.compression.channels import find_groups
from segnet.compression.class_layers import class_layers
from segnet.compression.cost import macs_of
from segnet.compression.prune import pruned
from segnet.device import choose_device
from segnet.errors import ConfigError
from segnet.nn.normalisation import normalisation_of
from segnet.runtime.eager import EagerBackend
from segnet.weights.file import WeightsCard

_LEAST_SHARE = 0.005


def latency_of(size_px: tuple[int, int], repeats: int = 5) -> Callable[[nn.Module], float]:
    """A clock for models: milliseconds for one image of that size, PyTorch's own operators in the best precision.

    Args:
        size_px: (height, width).
        repeats: of which the median is taken, after one that warms up.
    """

    def measure(model: nn.Module) -> float:
        spec = choose_device()
        backend = EagerBackend(model, spec.device, spec.precision)
        image = torch.zeros(1, normalisation_of(model).in_channels, *size_px, dtype=torch.uint8)
        times = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            backend.classes(image)
            times.append(1e3 * (time.perf_counter() - began))
        return median(times[1:])

    return measure


def share_for_latency(
    model: nn.Module,
    card: WeightsCard,
    latency_ms: float,
    measure: Callable[[nn.Module], float],
    size_px: tuple[int, int],
    *,
    multiple: int = 8,
    tries: int = 7,
) -> float:
    """The largest share of multiplications with which a model is fast enough, by bisection.

    Channels are removed evenly here: which ones go hardly changes the time.

    Args:
        model: as it was loaded.
        card: of its weights.
        latency_ms: that one image may take.
        measure: times a model, as `latency_of` does.
        size_px: (height, width) that multiplications are counted for.
        multiple: widths stay multiples of this.
        tries: models that are measured.

    Raises:
        ConfigError: not even the leanest model is fast enough (says how fast it is).
    """
    if measure(model) <= latency_ms:
        return 1.0
    groups = find_groups(model, class_layers(card))
    even = {group: (place / len(block)) ** 2 for block in groups.blocks for place, group in enumerate(block)}
    whole = macs_of(model, size_px)
    low, high, found, fastest = _LEAST_SHARE, 1.0, 0.0, math.inf
    for _ in range(tries):
        share = math.sqrt(low * high)
        try:
            lean = pruned(model, groups, even, "macs", share * whole, size_px=size_px, multiple=multiple)
        except ConfigError:  # leaner than it can be
            low = share
            continue
        took = measure(lean)
        fastest = min(fastest, took)
        if took <= latency_ms:
            found, low = macs_of(lean, size_px) / whole, share
        else:
            high = share
    if not found:
        raise ConfigError(
            f"a latency of {latency_ms:g} ms: the leanest model that was tried takes {fastest:.1f} ms on this machine; "
            "ask for more time, or for a smaller size"
        )
    return found
