"""Profiles a model by operator, and compares its convolutions with the device's rate of matrix products.

The parts are PyTorch's operators, grouped by purpose. The rate of one large matrix product in each precision indicates
what a change of precision can gain: a machine that multiplies bfloat16 twice as fast as float32 will hardly run the
same convolutions three times as fast. It is not a limit: products of other shapes, and convolutions, may be faster.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from segnet.benchmark.measure.naive import NaiveBackend
from segnet.benchmark.measure.timing import measure
from segnet.benchmark.paper_tables.tables import TableText
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
    "packing and unpacking indices": (
        "__lshift__",
        "__rshift__",
        "bitwise_and",
        "bitwise_or",
        "__or__",
        "ge",
        "sub_",
        "cat",
    ),
    "argmax": ("argmax",),
}
OTHER = "additions, copies and the rest"
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Profile:
    """Profile of one model, run one way.

    Attributes:
        model_name: a key of `MODELS`.
        way: `naive`, or `eager` and a precision.
        part_ms: time of each part by its name, a key of `PARTS` or `OTHER`.
        convolution_gflop: arithmetic of direct convolutions in 10^9 operations; a multiplication and an addition count
            as two.
        batch_size: images per batch; the figures are for the whole batch.
    """

    model_name: str
    way: str
    part_ms: dict[str, float]
    convolution_gflop: float
    batch_size: int = 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_profile(
    model_name: str,
    precision: Precision | None,
    size_px: tuple[int, int],
    repeats: int = 3,
    *,
    device: torch.device = _CPU,
    batch_size: int = 1,
) -> Profile:
    """Profiles one model.

    Args:
        model_name: a key of `MODELS`.
        precision: of our backend; None profiles the naive port.
        size_px: (height, width).
        repeats: profiled batches, after one warm-up batch.
        device: where the model runs.
        batch_size: images at once.

    Raises:
        ConfigError: unknown model.
    """
    torch.manual_seed(0)
    model = create_model(model_name, 11)
    run = NaiveBackend(model, device) if precision is None else EagerBackend(model, device, precision)
    image = torch.randint(0, 256, (batch_size, 3, *size_px), dtype=torch.uint8)
    with FlopCounterMode(display=False) as counted:
        NaiveBackend(model, device).classes(image)
    run.classes(image)
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu) as recorded:
        for _ in range(repeats):
            run.classes(image)
    part_ms = dict.fromkeys((*PARTS, OTHER), 0.0)
    for event in recorded.key_averages():
        own_us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if event.key.startswith("aten::"):  # the kernels would count twice
            part_ms[_part(event.key)] += own_us / 1e3 / repeats
    way = "naive" if precision is None else f"eager {precision}"
    return Profile(model_name, way, part_ms, counted.get_total_flops() / 1e9, batch_size)


def matrix_rates(device: torch.device = _CPU, side: int | None = None) -> dict[str, float]:
    """Measures the rate of one matrix product on a device, in 10^9 operations per second, by precision.

    Args:
        device: where.
        side: of the square matrices; default: large enough that the rate is the device's highest.
    """
    side = side or _side(device)
    left, right = torch.randn(2, side, side, device=device).unbind()
    products: dict[str, Callable[[], object]] = {"float32": lambda: left @ right}
    for dtype in (torch.bfloat16,) if device.type == "cpu" else (torch.float16, torch.bfloat16):
        narrow = (left.to(dtype), right.to(dtype))
        products[str(dtype).removeprefix("torch.")] = partial(torch.matmul, *narrow)
    bytes_left, bytes_right = torch.randint(-128, 127, (2, side, side), dtype=torch.int8, device=device).unbind()
    products["int8"] = lambda: torch._int_mm(bytes_left, bytes_right)
    gflop = 2 * side**3 / 1e9
    return {name: 1e3 * gflop / measure(product, repeats=5).min_ms for name, product in products.items()}


def profile_table(
    results: Sequence[Profile], rates: dict[str, float], size_px: tuple[int, int], *, device: torch.device = _CPU
) -> TableText:
    """The records as a table with one column each, and the rates below."""
    heads = ("part", *(f"{r.model_name}, {r.way}" for r in results))
    rows = [(part, *(_beside_share(r, part) for r in results)) for part in (*PARTS, OTHER)]
    rows.append(("total, ms", *(f"{sum(r.part_ms.values()):.0f}" for r in results)))
    rows.append(("convolutions, GFLOP", *(f"{r.convolution_gflop:.0f}" for r in results)))
    achieved = [1e3 * r.convolution_gflop / sum(r.part_ms.values()) for r in results]
    rows.append(("GFLOP per second of total time", *(f"{rate:.0f}" for rate in achieved)))
    yardsticks = [rates[r.way.split()[1] if " " in r.way else "float32"] for r in results]
    shares = (f"{rate / yardstick:.0%}" for rate, yardstick in zip(achieved, yardsticks, strict=True))
    rows.append(("share of the matrix product's rate", *shares))
    batch_size = results[0].batch_size if results else 1
    images = "one image" if batch_size == 1 else f"{batch_size} images at once"
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    title = f"Where the time of {images} goes, {size_px[0]}x{size_px[1]}, {where}"
    rates_text = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    ratios = ", ".join(f"{n} {rate / rates['float32']:.1f}x" for n, rate in rates.items() if n != "float32")
    notes = (
        "Milliseconds and share of each part, from PyTorch's profiler.",
        f"One matrix product of side {_side(device)} reaches, in GFLOP/s: {rates_text}. It is an indication, not a "
        "limit: convolutions may run faster, and Winograd needs fewer multiplications than the direct convolutions "
        "that are counted, so a share can exceed 100 %.",
        f"Speed of that product relative to float32: {ratios}.",
    )
    return TableText("profile", title, heads, tuple(rows), notes)


def _side(device: torch.device) -> int:
    return 2048 if device.type == "cpu" else 8192


def _part(operator: str) -> str:
    name = operator.removeprefix("aten::")
    return next((part for part, names in PARTS.items() if name in names), OTHER)


def _beside_share(result: Profile, part: str) -> str:
    share = result.part_ms[part] / sum(result.part_ms.values())
    return f"{result.part_ms[part]:.0f} ({share:.0%})"
