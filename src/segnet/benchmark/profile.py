"""Where the time of one picture goes, and how near its convolutions are to what the processor can multiply.

The parts are PyTorch's operators, grouped by what they are for. The rate of a large matrix product in each precision is
the limit of every speed-up that keeps the arithmetic: a processor that multiplies bfloat16 twice as fast as float32
cannot run the same convolutions three times as fast.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from segnet.benchmark.naive import NaiveBackend
from segnet.benchmark.tables import TableText
from segnet.benchmark.timing import measure
from segnet.models import create_model
from segnet.runtime.backend import Precision
from segnet.runtime.eager import EagerBackend

PARTS = {
    "convolution": ("mkldnn_convolution", "convolution", "_slow_conv2d_forward"),
    "Winograd's products": ("bmm",),
    "batch normalisation": ("native_batch_norm",),
    "ReLU": ("clamp_min_", "relu", "relu_"),
    "pooling": ("max_pool2d_with_indices",),
    "unpooling": ("max_unpool2d",),
    "places to bits and back": ("__lshift__", "__rshift__", "bitwise_and", "bitwise_or", "__or__", "ge", "sub_", "cat"),
    "argmax": ("argmax",),
}
OTHER = "additions, copies and the rest"
_SIDE = 2048


@dataclass(frozen=True)
class Profile:
    """One net, run one way.

    Attributes:
        net: name.
        way: `naive`, or `eager` and a precision.
        part_ms: time of each part, by its name in `PARTS`, or `OTHER`.
        convolution_gflop: arithmetic of the convolutions as plain sums, 10^9 operations, a multiplication and an
            addition being two.
    """

    net: str
    way: str
    part_ms: dict[str, float]
    convolution_gflop: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_profile(net: str, precision: Precision | None, size_px: tuple[int, int], repeats: int = 3) -> Profile:
    """Profiles one net.

    Args:
        net: a key of `MODELS`.
        precision: of ours; None profiles the naive port.
        size_px: (height, width).
        repeats: pictures that are counted, after one that warms up.

    Raises:
        ConfigError: unknown net.
    """
    torch.manual_seed(0)
    model = create_model(net, 11)
    run = NaiveBackend(model) if precision is None else EagerBackend(model, torch.device("cpu"), precision)
    image = torch.randint(0, 256, (1, 3, *size_px), dtype=torch.uint8)
    with FlopCounterMode(display=False) as counted:
        NaiveBackend(model).classes(image)
    run.classes(image)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(repeats):
            run.classes(image)
    part_ms = dict.fromkeys((*PARTS, OTHER), 0.0)
    for event in recorded.key_averages():
        part_ms[_part(event.key)] += event.self_cpu_time_total / 1e3 / repeats
    way = "naive" if precision is None else f"eager {precision}"
    return Profile(net, way, part_ms, counted.get_total_flops() / 1e9)


def matrix_rates() -> dict[str, float]:
    """What one large matrix product reaches here, 10^9 operations a second, by precision."""
    left, right = torch.randn(2, _SIDE, _SIDE).unbind()
    narrow_left, narrow_right = left.bfloat16(), right.bfloat16()
    bytes_left, bytes_right = (torch.randint(-128, 127, (_SIDE, _SIDE), dtype=torch.int8) for _ in range(2))
    products = {
        "float32": lambda: left @ right,
        "bfloat16": lambda: narrow_left @ narrow_right,
        "int8": lambda: torch._int_mm(bytes_left, bytes_right),
    }
    gflop = 2 * _SIDE**3 / 1e9
    return {name: 1e3 * gflop / measure(product, repeats=5).min_ms for name, product in products.items()}


def profile_table(results: Sequence[Profile], rates: dict[str, float], size_px: tuple[int, int]) -> TableText:
    """The records as a table, a column for each; below it the rates."""
    heads = ("part", *(f"{r.net}, {r.way}" for r in results))
    rows = [(part, *(_beside_share(r, part) for r in results)) for part in (*PARTS, OTHER)]
    rows.append(("all, ms", *(f"{sum(r.part_ms.values()):.0f}" for r in results)))
    rows.append(("convolutions, GFLOP", *(f"{r.convolution_gflop:.0f}" for r in results)))
    achieved = (1e3 * r.convolution_gflop / sum(r.part_ms.values()) for r in results)
    rows.append(("the same a second of all", *(f"{rate:.0f}" for rate in achieved)))
    title = f"Where the time of one picture goes, {size_px[0]}x{size_px[1]}, {torch.get_num_threads()} threads"
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    limits = ", ".join(f"{n} {rate / rates['float32']:.1f}x" for n, rate in rates.items() if n != "float32")
    notes = (
        "ms and share of each part, by PyTorch's profiler.",
        f"One matrix product of side {_SIDE} reaches, in GFLOP/s: {told}.",
        f"So the same arithmetic in other precisions is faster than in float32 by at most: {limits}.",
    )
    return TableText("profile", title, heads, tuple(rows), notes)


def _part(operator: str) -> str:
    name = operator.removeprefix("aten::")
    return next((part for part, names in PARTS.items() if name in names), OTHER)


def _beside_share(result: Profile, part: str) -> str:
    share = result.part_ms[part] / sum(result.part_ms.values())
    return f"{result.part_ms[part]:.0f} ({share:.0%})"
