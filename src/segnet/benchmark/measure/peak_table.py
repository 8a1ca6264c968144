"""Why one model of Table 6 needs more memory than another: weights, their copies, maps and indices at the peak.

Source:
    SegNet, Table 6 and section 4: "SegNet ... requires the least memory at inference", read from nvidia-smi at batch 1.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from segnet.benchmark.measure.inference_memory import engine_peaks_mb
from segnet.benchmark.measure.peak_tensors import bytes_by_kind, tensors_at_peak, weight_bytes
from segnet.benchmark.paper_tables.tables import TableText
from segnet.models import create_model
from segnet.runtime.backend import Precision
from segnet.runtime.fold import folded
from segnet.runtime.precision import in_precision

TABLE_6 = ("segnet", "deeplab-largefov", "fcn-8s-learnt", "deconvnet")
LARGEST = 3
"""Tensors named for each row."""


@dataclass(frozen=True)
class PeakRecord:
    """Memory of one image's inference, in 10^6 bytes, the plain model and the engine's forms beside it.

    Attributes:
        model_name: a key of `MODELS`.
        precision: `float32` or `bfloat16`; the plain model runs under autocast.
        weights_mb: parameters and buffers of the plain model, float32.
        copies_mb: copies of weights alive at its peak, made by autocast.
        maps_mb: feature maps alive at its peak.
        indices_mb: pooling indices, and other integer tensors, alive at its peak.
        largest: the largest tensors alive at its peak.
        engine_weights_mb: weights with BN folded, in the precision.
        whole_mb: peak of activations in the engine with whole feature maps.
        strips_mb: in strips that cost no time, as shipped.
        small_strips_mb: in small strips.
    """

    model_name: str
    precision: str
    weights_mb: float
    copies_mb: float
    maps_mb: float
    indices_mb: float
    largest: tuple[str, ...]
    engine_weights_mb: float
    whole_mb: float
    strips_mb: float
    small_strips_mb: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def plain_mb(self) -> float:
        """Weights and everything alive at the peak of the plain model."""
        return self.weights_mb + self.copies_mb + self.maps_mb + self.indices_mb


def measure_peak(model_name: str, precision: Precision, size_px: tuple[int, int]) -> PeakRecord:
    """Measures one model on one image, on the CPU.

    Args:
        model_name: a key of `MODELS`.
        precision: `float32` or `bfloat16`.
        size_px: (height, width).

    Raises:
        ConfigError: unknown model.
    """
    model = create_model(model_name, 11).eval()
    image = torch.rand(1, 3, *size_px).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        model(image)  # what the first call allocates and keeps is no activation
        tensors = tensors_at_peak(model, lambda: model(image))
    kinds = bytes_by_kind(tensors)
    engine_weights = weight_bytes(in_precision(folded(model), getattr(torch, precision)))
    peaks_mb = engine_peaks_mb(model, precision, (image * 255).to(torch.uint8))
    return PeakRecord(
        model_name,
        precision,
        weight_bytes(model) / 1e6,
        kinds["weight copies"] / 1e6,
        kinds["maps"] / 1e6,
        kinds["indices"] / 1e6,
        tuple(str(tensor) for tensor in tensors[:LARGEST]),
        engine_weights / 1e6,
        *peaks_mb,
    )


def peak_table(records: Sequence[PeakRecord], size_px: tuple[int, int]) -> TableText:
    """The records as a table, with the largest tensors of each as notes."""
    heads = (
        *("model", "precision", "weights MB", "copies of weights MB", "maps MB", "indices MB", "plain, all MB"),
        *("engine: weights MB", "whole maps MB", "strips MB", "small strips MB"),
    )
    rows = tuple(
        (
            r.model_name,
            r.precision,
            *(f"{value:.1f}" for value in (r.weights_mb, r.copies_mb, r.maps_mb, r.indices_mb, r.plain_mb)),
            *(f"{value:.1f}" for value in (r.engine_weights_mb, r.whole_mb, r.strips_mb, r.small_strips_mb)),
        )
        for r in records
    )
    title = f"What is alive at the peak of one image's inference, {size_px[0]}x{size_px[1]}"
    notes = (
        "Plain: the model as it is written, under autocast for bfloat16. Engine: BN folded, weights stored in the "
        "precision. Workspaces inside kernels are not counted.",
        *(f"{r.model_name}, {r.precision}, largest at the plain peak: {'; '.join(r.largest)}" for r in records),
    )
    return TableText("peak", title, heads, rows, notes)
