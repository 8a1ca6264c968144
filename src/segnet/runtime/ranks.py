"""Pooling and unpooling with operators of every runtime: max pooling, nearest upsampling, comparison, selection.

The four positions of a window have ranks. The first maximum in raster order has the largest rank of all maxima:

    4 3
    2 1

So max pooling the ranks of all maxima gives the position of the maximum, and unpooling writes a value to the pixel
whose own rank equals the rank of its window. This needs no index tensor, scatter or gather, and keeps dtype and memory
layout. Sizes may be odd, or unknown while tracing: pooling in ceil mode clips the last windows, and slices crop.

The results equal those of `segnet.pooling` for finite values. A window that contains a NaN unpools to zeros.

Ranks have the dtype of the feature map and are not packed, because many runtimes lack bit shifts and plan their own
memory.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Ranks(NamedTuple):
    """Position of each maximum.

    Attributes:
        rank: 4, 3, 2 or 1 for positions 0, 1, 2, 3; (N, C, h, w) in the dtype of the pooled map.
        size: (H, W) before pooling.
    """

    rank: Tensor
    size: tuple[int, int]


def max_pool(image: Tensor) -> tuple[Tensor, Ranks]:
    """As `segnet.pooling.max_pool`: (N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2)) and the ranks."""
    size = (image.shape[2], image.shape[3])
    pooled = F.max_pool2d(image, 2, 2, ceil_mode=True)
    is_maximum = image == _enlarged(pooled, size)
    own_rank = _own_rank(pooled, size)
    rank = F.max_pool2d(torch.where(is_maximum, own_rank, 0.0), 2, 2, ceil_mode=True)
    return pooled, Ranks(rank, size)


def max_unpool(pooled: Tensor, indices: Ranks) -> Tensor:
    """As `segnet.pooling.max_unpool`: (N, C, h, w) -> (N, C, H, W), zero except at the maxima."""
    is_maximum = _enlarged(indices.rank, indices.size) == _own_rank(pooled, indices.size)
    return torch.where(is_maximum, _enlarged(pooled, indices.size), 0.0)


def _enlarged(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest upsampling: (N, C, h, w) -> (N, C, H, W), each value repeated over its window."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")[:, :, : size[0], : size[1]]


def _own_rank(like: Tensor, size: tuple[int, int]) -> Tensor:
    """The rank of every pixel in its window, (1, 1, H, W) in the dtype of `like`."""
    window = like.new_tensor([[4.0, 3.0], [2.0, 1.0]])
    return window.repeat(1, 1, (size[0] + 1) // 2, (size[1] + 1) // 2)[:, :, : size[0], : size[1]]
