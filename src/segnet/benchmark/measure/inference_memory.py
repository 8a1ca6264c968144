"""Peak memory of one image's inference: the naive port, whole feature maps, strips."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.naive import NaiveBackend
from segnet.benchmark.paper_tables.tables import TableText
from segnet.models import create_model
from segnet.runtime.backend import Backend, Precision
from segnet.runtime.eager import EagerBackend
from segnet.runtime.strips import BAND_BYTES, SMALL_BAND_BYTES


@dataclass(frozen=True)
class InferenceMemory:
    """Peak of live activations of one model, in 10^6 bytes, without weights.

    Attributes:
        model_name: a key of `MODELS`.
        precision: of our backends; the naive port runs in float32.
        naive_mb: of the naive port.
        whole_mb: our backend with whole feature maps.
        strips_mb: our backend as shipped, in strips that cost no time.
        small_strips_mb: our backend in small strips.
    """

    model_name: str
    precision: str
    naive_mb: float
    whole_mb: float
    strips_mb: float
    small_strips_mb: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_inference_memory(model_name: str, precision: Precision, size_px: tuple[int, int]) -> InferenceMemory:
    """Measures one model.

    Args:
        model_name: a key of `MODELS`.
        precision: `float32` or `bfloat16`.
        size_px: (height, width).

    Raises:
        ConfigError: unknown model.
    """
    model = create_model(model_name, 11)
    image = torch.zeros(1, 3, *size_px, dtype=torch.uint8)
    naive_mb = _peak_mb(NaiveBackend(model), image)
    return InferenceMemory(model_name, precision, naive_mb, *engine_peaks_mb(model, precision, image))


def engine_peaks_mb(model: nn.Module, precision: Precision, image: Tensor) -> tuple[float, float, float]:
    """Peaks of live activations in our backend on the CPU, in 10^6 bytes: whole maps, strips as shipped, small strips.

    Args:
        model: a model of `MODELS`.
        precision: `float32` or `bfloat16`.
        image: uint8 (1, C, H, W).
    """
    whole, strips, small_strips = (
        _peak_mb(EagerBackend(model, torch.device("cpu"), precision, band_bytes=band_bytes), image)
        for band_bytes in (None, BAND_BYTES, SMALL_BAND_BYTES)
    )
    return whole, strips, small_strips


def _peak_mb(backend: Backend, image: Tensor) -> float:
    backend.classes(image[:, :, :2, :2])  # allocations of the first call are not activations
    return peak_live_bytes(lambda: backend.classes(image)) / 1e6


def memory_table(results: Sequence[InferenceMemory], size_px: tuple[int, int]) -> TableText:
    """The records as a table."""
    rows = tuple(
        (
            *(r.model_name, r.precision, f"{r.naive_mb:.1f}", f"{r.whole_mb:.1f}"),
            *(_beside_ratio(r.strips_mb, r), _beside_ratio(r.small_strips_mb, r)),
        )
        for r in results
    )
    heads = ("model", "precision", "naive MB", "whole maps MB", "strips MB", "small strips MB")
    title = f"Peak live activations of one image, {size_px[0]}x{size_px[1]}"
    note = (
        "In brackets: ratio to the naive port, which runs in float32. Weights and the workspaces inside kernels are "
        "not counted."
    )
    return TableText("memory", title, heads, rows, (note,))


def _beside_ratio(peak_mb: float, result: InferenceMemory) -> str:
    return f"{peak_mb:.1f} (1/{result.naive_mb / peak_mb:.1f})"
