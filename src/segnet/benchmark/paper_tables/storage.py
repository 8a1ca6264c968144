"""Storage: the bytes that a model passes from encoder to decoder, besides the encoder's last map.

Counted while the model runs on PyTorch's `meta` device, where tensors have shapes but no values: exact, fast, and
without memory. A tensor of the encoder counts if an operator outside the encoder reads it: a model that ignores its
encoder's indices stores nothing.

Source:
    SegNet, section 3.1 and Table 1, column "storage multiplier": "based only on the size of the first layer encoder
    feature map".

Deviates:
    The paper's unit is .17 MB, said to be the cost of 64 channels of 2-bit indices at 180x240. That is the size of
    one float32 map (172,800 bytes); the indices take 691,200 bytes, four times as much. So by bytes FCN-Basic keeps
    2.75 times, not 11 times, what SegNet-Basic keeps of its first layer, and 64 maps are 16 times, not 64.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segnet.benchmark.paper_tables.paper import STORAGE_MULTIPLIER
from segnet.errors import ShapeError
from segnet.models import create_model
from segnet.pooling import PoolingIndices

FLOAT_BYTES = 4
UNIT_CHANNELS = 64


@dataclass(frozen=True)
class Storage:
    """For one image.

    Attributes:
        index_bytes: of pooling indices, four to a byte.
        map_bytes: of feature maps, in float32.
        first_bytes: of both, of the first stage that passes anything.
        multiplier: `first_bytes` over the bytes of 64 channels of indices at half the image's size, the first layer
            of SegNet-Basic.
        paper_multiplier: the value that Table 1 prints; None if it prints none.
    """

    index_bytes: int
    map_bytes: int
    first_bytes: int
    multiplier: float
    paper_multiplier: float | None

    @property
    def total_bytes(self) -> int:
        """Indices and maps of all stages."""
        return self.index_bytes + self.map_bytes

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self) | {"total_bytes": self.total_bytes}


def count_storage(model_name: str, size_px: tuple[int, int], num_classes: int = 11) -> Storage:
    """Runs a model on one image without values and counts what passes from encoder to decoder.

    Args:
        model_name: a key of `MODELS`.
        size_px: (height, width).
        num_classes: K; it matters for models that reduce maps to K channels.

    Raises:
        ConfigError: unknown model.
    """
    model = meta_model(model_name, num_classes).eval()
    handed: list[_Handed] = []
    model.get_submodule("encoder").register_forward_hook(lambda *call: handed.extend(_handed_over(call[2])))
    with torch.inference_mode(), _Reads(handed):
        model(torch.empty(1, 3, *size_px, device="meta"))
    kept = [h for h in handed if h.read]
    first = max((h.pixels for h in kept), default=0)
    first_bytes = sum(h.num_bytes for h in kept if h.pixels == first)
    unit = UNIT_CHANNELS // 4 * -(-size_px[0] // 2) * -(-size_px[1] // 2)
    return Storage(
        sum(h.num_bytes for h in kept if h.is_indices),
        sum(h.num_bytes for h in kept if not h.is_indices),
        first_bytes,
        first_bytes / unit,
        STORAGE_MULTIPLIER.get(model_name),
    )


def meta_model(model_name: str, num_classes: int) -> nn.Module:
    """A model on the meta device: its tensors have no values."""
    with torch.device("meta"):
        return create_model(model_name, num_classes).to(
            "meta"
        )  # the input normalisation makes its constants on the CPU


def require_size(model_name: str, size_px: tuple[int, int], batch_size: int, num_classes: int = 11) -> None:
    """Whether a model can be trained on images of a size.

    Raises:
        ShapeError: its deepest map would have one value per channel, of which BN cannot take a variance; says the
            smallest square that can.
        ConfigError: unknown model.
    """
    model = meta_model(model_name, num_classes).train()
    if _trains(model, size_px, batch_size):
        return
    sides = range(1, 1025)
    smallest = sides[bisect_left(sides, True, key=lambda side: _trains(model, (side, side), batch_size))]
    raise ShapeError(
        f"model '{model_name}': images of {size_px[0]}x{size_px[1]} at batch {batch_size} leave one value per map "
        f"for batch normalisation; the smallest square is {smallest}x{smallest}, or take a larger batch"
    )


def _trains(model: nn.Module, size_px: tuple[int, int], batch_size: int) -> bool:
    try:
        model(torch.empty(batch_size, 3, *size_px, device="meta"))
    except ValueError:  # the check inside batch normalisation
        return False
    return True


@dataclass
class _Handed:
    """One tensor that the encoder returns besides its last map."""

    tensor: Tensor
    is_indices: bool
    read: bool = False

    @property
    def num_bytes(self) -> int:
        return self.tensor.numel() * (1 if self.is_indices else FLOAT_BYTES)

    @property
    def pixels(self) -> int:
        return self.tensor.shape[2] * self.tensor.shape[3]


def _handed_over(result: object) -> Iterator[_Handed]:
    if not isinstance(result, tuple):
        return  # one tensor: the last map alone
    for kept in result[1:]:
        for item in kept.values() if isinstance(kept, dict) else kept:
            is_indices = isinstance(item, PoolingIndices)
            yield _Handed(item.packed if is_indices else item, is_indices)


class _Reads(TorchDispatchMode):
    """Marks a passed tensor as read when an operator takes it."""

    def __init__(self, handed: list[_Handed]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.handed = handed

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        storages = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for h in self.handed:
            h.read = h.read or h.tensor.untyped_storage()._cdata in storages
        return func(*args, **(kwargs or {}))
