"""The idea of SegNet: max pooling that remembers *where*, in 2 bits per window, and unpooling that puts values back.

A 2x2 window has four positions, numbered in raster order:

    0 1
    2 3

`max_pool` keeps the largest value of each window and its position; `max_unpool` writes values at those positions
and zeros elsewhere. Nothing else passes from encoder to decoder. Four positions fit one byte, so `PoolingIndices` is 32
times smaller than the 64-bit flat indices that PyTorch and Caffe keep.

The results are exactly those of `max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)` and
`max_unpool2d(..., output_size=...)`: windows are clipped at an odd border, ties go to the first position in raster
order, a NaN wins its window (the last one, when there are several).

Three formulations give the same numbers. The first uses PyTorch's own CPU kernels and converts their flat indices to
positions at once: the fastest way in eager mode, and the 64-bit tensor is freed before the function returns. The second
uses slices, nearest upsampling, comparison and selection only: for other devices and `torch.compile`. The third is for
graphs that leave Python (`torch.export`, `torch.onnx.export`, `torch.jit.trace`) and for forward-mode differentiation:
it branches on no size, so sizes may be dynamic, and it packs no bits, which few runtimes can do. There a window with a
NaN unpools to zeros.

The functions also work under `torch.func` (`grad`, `vmap`, `jvp`, and their compositions).

Source:
    Badrinarayanan, Kendall, Cipolla: SegNet, section 3 ("2 bits for each 2x2 pooling window").
"""

from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from segnet.errors import ShapeError
from segnet.nn.recompute import Rebuild, again, is_recomputing, remember

_POSITIONS_PER_BYTE = 4


class PoolingIndices(NamedTuple):
    """The position of each maximum: what an encoder passes to a decoder.

    Attributes:
        packed: positions, uint8 (N, ceil(C / 4), h, w). Bits 2k and 2k+1 of byte b are channel k * ceil(C / 4) + b.
            While a graph is exported or traced: one position per byte, uint8 (N, C, h, w).
        channels: C of the pooled map.
        size: (H, W) before pooling; h = ceil(H / 2) and w = ceil(W / 2).
    """

    packed: Tensor
    channels: int
    size: tuple[int, int]

    @classmethod
    def from_positions(cls, positions: Tensor, size: tuple[int, int]) -> "PoolingIndices":
        """Packs positions 0..3, uint8 (N, C, h, w), of a map that was `size` = (H, W) before pooling."""
        return cls(_pack(positions), positions.shape[1], size)

    @classmethod
    def from_flat(cls, flat: Tensor, size: tuple[int, int]) -> "PoolingIndices":
        """Packs flat indices as PyTorch and Caffe keep them.

        Args:
            flat: `row * W + column` of each maximum inside its own plane, int64 (N, C, h, w).
            size: (H, W) before pooling.

        Raises:
            ShapeError: h, w do not belong to `size`, or an index lies outside its window.
        """
        height, width = size
        pooled_size = (-(-height // 2), -(-width // 2))
        if tuple(flat.shape[2:]) != pooled_size:
            raise ShapeError(
                f"flat indices of {tuple(flat.shape[2:])} do not belong to a map of {size}: expected {pooled_size}"
            )
        rows = flat // width - 2 * torch.arange(pooled_size[0], device=flat.device)[:, None]
        columns = flat % width - 2 * torch.arange(pooled_size[1], device=flat.device)
        outside = (flat < 0) | (flat >= height * width) | ((rows | columns) & ~1 != 0)
        if bool(outside.any()):
            raise ShapeError(
                f"{int(outside.sum())} flat indices lie outside their 2x2 window; check that (H, W) = {size}"
            )
        return cls.from_positions((2 * rows + columns).to(torch.uint8), size)

    def positions(self) -> Tensor:
        """The positions 0..3, uint8 (N, C, h, w)."""
        if self.packed.shape[1] == self.channels:  # in a graph, or a single channel: each byte is one position
            return self.packed
        return _unpack(self.packed, self.channels)

    def to_flat(self) -> Tensor:
        """Flat indices in PyTorch's and Caffe's convention, int64 (N, C, h, w)."""
        return _flat_from_positions(self.positions(), self.size[1])

    @property
    def num_bytes(self) -> int:
        """Bytes that these indices keep alive."""
        return self.packed.numel()


def max_pool(image: Tensor) -> tuple[Tensor, PoolingIndices]:
    """2x2 max pooling with stride 2 in ceil mode, and the position of each maximum.

    Args:
        image: (N, C, H, W), any floating type and memory layout, H and W at least 1.

    Returns:
        The pooled map (N, C, ceil(H/2), ceil(W/2)) in the type and layout of the input, and its indices.

    Raises:
        ShapeError: not four axes, or an empty one.

    Example:
        >>> pooled, indices = max_pool(torch.rand(1, 64, 45, 60))
        >>> pooled.shape, indices.packed.shape
        (torch.Size([1, 64, 23, 30]), torch.Size([1, 16, 23, 30]))
    """
    if image.dim() != 4:
        raise ShapeError(f"max_pool expects a non-empty (N, C, H, W), got {tuple(image.shape)}")
    size = (image.shape[2], image.shape[3])
    if _needs_plain_operators():
        pooled, positions = _graph_pool(image)
        return pooled, PoolingIndices(positions, image.shape[1], size)
    if 0 in image.shape[1:]:
        raise ShapeError(f"max_pool expects a non-empty (N, C, H, W), got {tuple(image.shape)}")
    if not _needs_function(image):
        pooled, packed = _pool(image)
    else:
        pooled, packed = _MaxPool.apply(image)  # type: ignore[no-untyped-call]
        if is_recomputing():
            remember(pooled, partial(_pool_again, again(image), packed))
    return pooled, PoolingIndices(packed, image.shape[1], size)


def max_unpool(pooled: Tensor, indices: PoolingIndices) -> Tensor:
    """Puts each value back at the position of its maximum; zero everywhere else.

    Args:
        pooled: (N, C, h, w), any floating type; the shape that `max_pool` returned with `indices`.
        indices: from `max_pool` or `PoolingIndices.from_flat`.

    Returns:
        (N, C, H, W) with (H, W) = `indices.size`, in the type and layout of `pooled`.

    Raises:
        ShapeError: `pooled` is not of the shape the indices were made from.
    """
    if _needs_plain_operators():
        return _graph_unpool(pooled, indices.positions(), indices.size)
    expected = (indices.packed.shape[0], indices.channels, *indices.packed.shape[2:])
    if tuple(pooled.shape) != expected:
        raise ShapeError(
            f"max_unpool got a map of {tuple(pooled.shape)} but indices of {expected}; "
            "unpool with the indices of the pooling at the same level"
        )
    if not _needs_function(pooled):
        return _unpool(pooled, indices.packed, indices.size)
    result: Tensor = _MaxUnpool.apply(pooled, indices.packed, indices.size)  # type: ignore[no-untyped-call]
    if is_recomputing():
        remember(result, partial(_unpool_again, again(pooled), indices))
    return result


# ------------------------------------------------------------------------------------------------ packing


def _pack(positions: Tensor) -> Tensor:
    """Four consecutive blocks of channels share a byte: whole runs of memory are combined in either layout."""
    block = -(-positions.shape[1] // _POSITIONS_PER_BYTE)
    missing = block * _POSITIONS_PER_BYTE - positions.shape[1]
    if missing:
        positions = F.pad(positions, (0, 0, 0, 0, 0, missing))
    first, second, third, fourth = positions.split(block, dim=1)
    packed: Tensor = first | second << 2 | third << 4 | fourth << 6
    return packed


def _unpack(packed: Tensor, channels: int) -> Tensor:
    return torch.cat([packed & 3, packed >> 2 & 3, packed >> 4 & 3, packed >> 6], dim=1)[:, :channels]


def _flat_from_positions(positions: Tensor, width: int) -> Tensor:
    """`base + position`, in 32 bits until the end: half the memory traffic of 64."""
    height, columns = positions.shape[2:]
    offset = positions.to(torch.int32)
    offset += (offset >> 1) * (width - 2)  # 0, 1, W, W + 1
    offset += 2 * (
        torch.arange(0, height * width, width, dtype=torch.int32, device=positions.device)[:, None]
        + torch.arange(columns, dtype=torch.int32, device=positions.device)
    )
    return offset.to(torch.int64)


def _positions_from_flat(flat: Tensor, width: int) -> Tensor:
    """The inverse for indices that are known to lie in their windows; 16 bits where a row fits them."""
    height, columns = flat.shape[2:]
    narrow = torch.int16 if width < 2**15 - 1 else torch.int32
    base = 2 * (
        torch.arange(0, height * width, width, device=flat.device)[:, None] + torch.arange(columns, device=flat.device)
    )
    offset = flat.to(narrow)  # the difference is right even where the two wrap around
    offset -= base.to(narrow)  # 0, 1, W, W + 1
    offset -= offset.ge(width).to(narrow) * (width - 2)
    return offset.to(torch.uint8)


# ------------------------------------------------------------------------------------------------ arithmetic


def _needs_plain_operators() -> bool:
    """Whether the operators are recorded for a program that runs without this module, or differentiated forward."""
    # PyTorch 2.6 has no is_exporting; its is_compiling is true while exporting too
    is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    # an autograd function with a jvp of its own would not compile
    return torch._C._get_tracing_state() is not None or bool(is_exporting()) or forward_ad._current_level >= 0


def _needs_function(tensor: Tensor) -> bool:
    """Whether a pass through autograd, or through a transform of torch.func, has to be recorded."""
    # under vmap a tensor does not say whether an outer transform differentiates it
    return (torch.is_grad_enabled() and tensor.requires_grad) or torch._C._are_functorch_transforms_active()


def _native(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def _pool(image: Tensor) -> tuple[Tensor, Tensor]:
    if _native(image):
        pooled, flat = F.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
        return pooled, _pack(_positions_from_flat(flat, image.shape[3]))
    odd_height, odd_width = image.shape[2] % 2, image.shape[3] % 2
    if odd_height or odd_width:
        # -inf never beats a value, so windows that the border clips keep their own maximum
        image = F.pad(image, (0, odd_width, 0, odd_height), value=float("-inf"))
    top, top_position = _larger(image[:, :, 0::2, 0::2], image[:, :, 0::2, 1::2])
    bottom, bottom_position = _larger(image[:, :, 1::2, 0::2], image[:, :, 1::2, 1::2])
    pooled, is_bottom = _larger(top, bottom)
    positions = torch.where(is_bottom, bottom_position.to(torch.uint8) + 2, top_position.to(torch.uint8))
    return pooled, _pack(positions)


def _larger(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The larger of two and whether it is the second: the first wins ties, a NaN wins, the later NaN of two."""
    return torch.maximum(first, second), (second > first) | second.isnan()


def _unpool(pooled: Tensor, packed: Tensor, size: tuple[int, int]) -> Tensor:
    positions = _unpack(packed, pooled.shape[1])
    # torch refuses its own kernel in deterministic mode, although indices that never collide have only one result
    if _native(pooled) and not torch.are_deterministic_algorithms_enabled():
        with torch.autocast("cpu", enabled=False):  # it would convert the map to float32
            return F.max_unpool2d(pooled, _flat_from_positions(positions, size[1]), (2, 2), (2, 2), output_size=size)
    height, width = size
    rows = torch.arange(height, device=pooled.device) % 2
    columns = torch.arange(width, device=pooled.device) % 2
    own_position = (2 * rows[:, None] + columns).to(torch.uint8)  # (H, W): 0 1 0 1 ... / 2 3 2 3 ...
    near_position = F.interpolate(positions, scale_factor=2)[:, :, :height, :width]
    near_value = F.interpolate(pooled, scale_factor=2)[:, :, :height, :width]
    return torch.where(near_position == own_position, near_value, pooled.new_zeros(()))


def _graph_pool(image: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled map and positions, uint8 (N, C, h, w), by the ranks 4, 3, 2, 1 of the positions 0, 1, 2, 3."""
    pooled = F.max_pool2d(image, 2, 2, ceil_mode=True)
    size = (image.shape[2], image.shape[3])
    # the largest rank among the maxima of a window is that of its first maximum in raster order
    rank = torch.where(image == _over_windows(pooled, size), 4.0 - _own_position(size, image), 0.0)
    return pooled, (4.0 - F.max_pool2d(rank, 2, 2, ceil_mode=True)).to(torch.uint8)


def _graph_unpool(pooled: Tensor, positions: Tensor, size: tuple[int, int]) -> Tensor:
    # compared as floats: ONNX Runtime does not compare uint8
    is_maximum = _over_windows(positions.to(pooled.dtype), size) == _own_position(size, pooled)
    return torch.where(is_maximum, _over_windows(pooled, size), 0.0)


def _over_windows(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, H, W), each value repeated over its window."""
    # By index, not by upsampling and cropping: a crop that removes nothing at the traced size would fix the parity.
    rows = torch.arange(size[0], device=features.device) // 2
    columns = torch.arange(size[1], device=features.device) // 2
    return features.index_select(2, rows).index_select(3, columns)


def _own_position(size: tuple[int, int], like: Tensor) -> Tensor:
    """The position 0..3 of every pixel in its window, (H, W) in the type of `like`."""
    rows = torch.arange(size[0], device=like.device) % 2
    columns = torch.arange(size[1], device=like.device) % 2
    return (2 * rows[:, None] + columns).to(like.dtype)


def _gather(image: Tensor, packed: Tensor) -> Tensor:
    """The values of `image` (N, C, H, W) at the positions: (N, C, h, w). The adjoint of `_unpool`."""
    batch, channels, height, width = image.shape
    positions = _unpack(packed, channels)
    if not _native(image):
        image = F.pad(image, (0, width % 2, 0, height % 2))
        right = (positions & 1).bool()
        top = torch.where(right, image[:, :, 0::2, 1::2], image[:, :, 0::2, 0::2])
        bottom = torch.where(right, image[:, :, 1::2, 1::2], image[:, :, 1::2, 0::2])
        return torch.where(positions > 1, bottom, top)
    flat = _flat_from_positions(positions, width)
    # a view in either memory layout: nothing is copied before the gather
    if image.is_contiguous():
        return image.flatten(2).gather(2, flat.flatten(2)).view_as(positions)
    planes = image.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
    expected = flat.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    return planes.gather(1, expected).view(batch, *positions.shape[2:], channels).permute(0, 3, 1, 2)


def _pool_again(image: Rebuild, packed: Tensor, images: slice) -> Tensor:
    return _gather(image(images), packed[images])


def _unpool_again(pooled: Rebuild, indices: PoolingIndices, images: slice) -> Tensor:
    """Image by image: 64-bit indices of all at once would be as large as the map."""
    values, packed = pooled(images), indices.packed[images]
    layout = torch.channels_last if values.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    result = torch.empty(
        (*values.shape[:2], *indices.size), dtype=values.dtype, device=values.device, memory_format=layout
    )
    for one, value, positions in zip(result.split(1), values.split(1), packed.split(1), strict=True):
        one.copy_(_unpool(value, positions, indices.size))
    return result


# ------------------------------------------------------------------------------------------------ gradients
# Given the indices, unpooling and gathering are linear and each is the other's adjoint, so the three functions close
# under differentiation, and all that any of them saves is the packed indices.


# Under vmap the mapped axis is folded into N, which the functions treat image by image: no slow fallback of PyTorch.


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(image: Tensor) -> tuple[Tensor, Tensor]:
        return _pool(image)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        (image,), (_, packed) = inputs, output
        ctx.save_for_backward(packed)
        ctx.size = (image.shape[2], image.shape[3])
        ctx.mark_non_differentiable(packed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (packed,) = ctx.saved_tensors
        result: Tensor = _MaxUnpool.apply(gradients[0], packed, ctx.size)  # type: ignore[no-untyped-call]
        return result

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None], image: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        pooled, packed = _MaxPool.apply(_fold(image, axes[0], info.batch_size))  # type: ignore[no-untyped-call]
        return (_unfold(pooled, info.batch_size), _unfold(packed, info.batch_size)), (0, 0)


class _MaxUnpool(torch.autograd.Function):
    @staticmethod
    def forward(pooled: Tensor, packed: Tensor, size: tuple[int, int]) -> Tensor:
        return _unpool(pooled, packed, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, int]], output: Tensor) -> None:
        _, packed, ctx.size = inputs
        ctx.save_for_backward(packed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (packed,) = ctx.saved_tensors
        return _Gather.apply(gradients[0], packed), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(
        info: Any, axes: tuple[int | None, int | None, None], pooled: Tensor, packed: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, int]:
        maps, indices = _fold(pooled, axes[0], info.batch_size), _fold(packed, axes[1], info.batch_size)
        return _unfold(_MaxUnpool.apply(maps, indices, size), info.batch_size), 0  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(image: Tensor, packed: Tensor) -> Tensor:
        return _gather(image, packed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        image, packed = inputs
        ctx.save_for_backward(packed)
        ctx.size = (image.shape[2], image.shape[3])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (packed,) = ctx.saved_tensors
        return _MaxUnpool.apply(gradients[0], packed, ctx.size), None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, int | None], image: Tensor, packed: Tensor) -> tuple[Tensor, int]:
        maps, indices = _fold(image, axes[0], info.batch_size), _fold(packed, axes[1], info.batch_size)
        return _unfold(_Gather.apply(maps, indices), info.batch_size), 0  # type: ignore[no-untyped-call]


def _fold(tensor: Tensor, axis: int | None, count: int) -> Tensor:
    """The mapped axis of `count` in front of N and joined with it: (count * N, C, H, W)."""
    whole: Tensor = tensor.expand(count, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
    return whole.flatten(0, 1)


def _unfold(tensor: Tensor, count: int) -> Tensor:
    """(count * N, C, H, W) -> (count, N, C, H, W)."""
    unfolded: Tensor = tensor.unflatten(0, (count, tensor.shape[0] // count))
    return unfolded
