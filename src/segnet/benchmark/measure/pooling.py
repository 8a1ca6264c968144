"""Time and memory of 2-bit pooling indices against PyTorch's own pooling and unpooling."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segnet.benchmark.measure.timing import Timing, measure_in_turn
from segnet.benchmark.paper_tables.tables import TableText
from segnet.pooling import max_pool, max_unpool

# The five feature maps that SegNet pools at 360x480.
SEGNET_MAPS = ((64, 360, 480), (128, 180, 240), (256, 90, 120), (512, 45, 60), (512, 23, 30))


@dataclass(frozen=True)
class PoolingResult:
    """Our pooling and PyTorch's for one feature map.

    Attributes:
        shape: of the feature map before pooling, (N, C, H, W).
        dtype: of the feature map.
        ours: time of pooling, unpooling and both backward passes.
        torch: the same with `max_pool2d(return_indices=True)` and `max_unpool2d`.
        ours_forward: time of pooling and unpooling without backward.
        torch_forward: the same with PyTorch's pair.
        index_bytes: size of our indices.
        torch_index_bytes: size of PyTorch's indices.
        saved_bytes: bytes that autograd saves for the two backward passes.
        torch_saved_bytes: the same with PyTorch's pair.
    """

    shape: tuple[int, int, int, int]
    dtype: str
    ours: Timing
    torch: Timing
    ours_forward: Timing
    torch_forward: Timing
    index_bytes: int
    torch_index_bytes: int
    saved_bytes: int
    torch_saved_bytes: int

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def _ours(image: Tensor) -> Tensor:
    return max_unpool(*max_pool(image))


def _torch(image: Tensor) -> Tensor:
    pooled, indices = F.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    return F.max_unpool2d(pooled, indices, (2, 2), (2, 2), output_size=image.shape[2:])


def compare_pooling(shape: tuple[int, int, int, int], dtype: torch.dtype, repeats: int = 9) -> PoolingResult:
    """Measures one channels-last feature map of random values; the two alternate.

    Args:
        shape: (N, C, H, W) before pooling.
        dtype: float32 or bfloat16.
        repeats: timed calls of each.
    """
    torch.manual_seed(0)
    image = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
    gradient = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)

    def both_ways(pair: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        leaf = image.clone().requires_grad_()
        return lambda: torch.autograd.grad(pair(leaf), leaf, gradient)

    times = measure_in_turn(
        {
            "ours": both_ways(_ours),
            "torch": both_ways(_torch),
            "ours_forward": lambda: _ours(image),
            "torch_forward": lambda: _torch(image),
        },
        repeats=repeats,
    )
    _, indices = max_pool(image)
    return PoolingResult(
        shape,
        str(dtype).removeprefix("torch."),
        **times,
        index_bytes=indices.num_bytes,
        torch_index_bytes=8 * shape[0] * shape[1] * -(-shape[2] // 2) * -(-shape[3] // 2),
        saved_bytes=_saved_bytes(_ours, image),
        torch_saved_bytes=_saved_bytes(_torch, image),
    )


def compare_all(repeats: int = 9) -> list[PoolingResult]:
    """Measures the five feature maps that SegNet pools, one image each, in float32 and in bfloat16."""
    dtypes = (torch.float32, torch.bfloat16)
    return [compare_pooling((1, *shape), dtype, repeats) for dtype in dtypes for shape in SEGNET_MAPS]


def pooling_table(results: Sequence[PoolingResult]) -> TableText:
    """The results as a table; the notes sum up all feature maps of a dtype."""
    columns = ("map (C, H, W)", "type", "fwd+bwd ms", "ratio", "fwd ms", "ratio", "saved MB", "indices")
    rows = [
        (
            str(r.shape[1:]),
            r.dtype,
            f"{r.ours.median_ms:.2f} / {r.torch.median_ms:.2f}",
            f"{r.ours.median_ms / r.torch.median_ms:.2f}",
            f"{r.ours_forward.median_ms:.2f} / {r.torch_forward.median_ms:.2f}",
            f"{r.ours_forward.median_ms / r.torch_forward.median_ms:.2f}",
            f"{r.saved_bytes / 1e6:.2f} / {r.torch_saved_bytes / 1e6:.2f}",
            f"1/{r.torch_index_bytes / r.index_bytes:.0f}",
        )
        for r in results
    ]
    notes = []
    for dtype in dict.fromkeys(r.dtype for r in results):
        own = [r for r in results if r.dtype == dtype]
        time_ratio = sum(r.ours.median_ms for r in own) / sum(r.torch.median_ms for r in own)
        bytes_ratio = sum(r.torch_index_bytes for r in own) / sum(r.index_bytes for r in own)
        notes.append(f"all maps, {dtype}: time x{time_ratio:.2f}, index bytes 1/{bytes_ratio:.1f}")
    title = "max pooling + unpooling, ours / PyTorch, medians of one run"
    return TableText("pooling", title, columns, tuple(rows), tuple(notes))


def _saved_bytes(pair: Callable[[Tensor], Tensor], image: Tensor) -> int:
    """Returns the bytes of the storages that autograd saves for the backward passes, each counted once."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = pair(image.clone().requires_grad_())
    del result
    return sum(storages.values())
