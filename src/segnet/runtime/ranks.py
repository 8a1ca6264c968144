"""Pooling and unpooling in operators that every runtime has: max pooling, nearest upsampling, comparison, selection.

The four positions of a window have ranks, and its first maximum in raster order has the largest rank of its maxima:

    4 3
    2 1

So the ranks of all maxima, pooled once more, say where the maximum stood, and a value goes back to where the rank of
its window is the pixel's own. No index tensor, no scatter, no gather; the type and layout are the map's own throughout.
Sizes may be odd or unknown while tracing: pooling in ceil mode clips the last windows, and slices crop.

The same numbers as `segnet.pooling` on finite maps. A window that holds a NaN unpools to zeros.

Ranks are kept in the map's own type, not packed: for runtimes, which have no bits to shift and plan their own memory.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Ranks(NamedTuple):
    """Where each maximum stood.

    Attributes:
        rank: 4, 3, 2 or 1 for positions 0, 1, 2, 3; (N, C, h, w) in the type of the pooled map.
        size: (H, W) before pooling.
    """

    rank: Tensor
    size: tuple[int, int]


def max_pool(image: Tensor) -> tuple[Tensor, Ranks]:
    """As `segnet.pooling.max_pool`: (N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2)) and the positions as ranks."""
    size = (image.shape[2], image.shape[3])
    pooled = F.max_pool2d(image, 2, 2, ceil_mode=True)
    is_maximum = image == _enlarged(pooled, size)
    own_rank = _own_rank(pooled, size)
    rank = F.max_pool2d(torch.where(is_maximum, own_rank, 0.0), 2, 2, ceil_mode=True)
    return pooled, Ranks(rank, size)


def max_unpool(pooled: Tensor, indices: Ranks) -> Tensor:
    """As `segnet.pooling.max_unpool`: (N, C, h, w) -> (N, C, H, W), zero where no maximum stood."""
    is_position = _enlarged(indices.rank, indices.size) == _own_rank(pooled, indices.size)
    return torch.where(is_position, _enlarged(pooled, indices.size), 0.0)


def _enlarged(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, H, W), each value over its window."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")[:, :, : size[0], : size[1]]


def _own_rank(like: Tensor, size: tuple[int, int]) -> Tensor:
    """The rank of every pixel in its window, (1, 1, H, W) in the type of `like`."""
    window = like.new_tensor([[4.0, 3.0], [2.0, 1.0]])
    return window.repeat(1, 1, (size[0] + 1) // 2, (size[1] + 1) // 2)[:, :, : size[0], : size[1]]
