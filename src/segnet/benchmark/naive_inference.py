"""The naive port at inference, of any net: the baseline that latency and live activations are compared with.

float32, PyTorch's own pooling with 64-bit indices, batch normalisation as it stands, no layout, no strips.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet import pooling
from segnet.runtime.fold import replace_calls, traced


class FlatIndices(NamedTuple):
    """PyTorch's indices.

    Attributes:
        flat: int64 (N, C, h, w).
        size: (H, W) before pooling.
    """

    flat: Tensor
    size: tuple[int, int]


def max_pool(image: Tensor) -> tuple[Tensor, FlatIndices]:
    """(N, C, H, W) -> (N, C, h, w) and PyTorch's indices."""
    size = (image.shape[2], image.shape[3])
    pooled, flat = F.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    return pooled, FlatIndices(flat, size)


def max_unpool(pooled: Tensor, indices: FlatIndices) -> Tensor:
    """(N, C, h, w) -> (N, C, H, W)."""
    return F.max_unpool2d(pooled, indices.flat, (2, 2), (2, 2), output_size=indices.size)


class NaivePort:
    """A net as the naive port would run it, behind the two calls of a backend.

    Args:
        model: a net of `MODELS`; stays as it is.
    """

    def __init__(self, model: nn.Module) -> None:
        self._net = traced(model)
        replace_calls(self._net, {pooling.max_pool: max_pool, pooling.max_unpool: max_unpool})

    def classes(self, image: Tensor) -> Tensor:
        """RGB uint8 (N, 3, H, W) -> class ids, int64 (N, H, W)."""
        return self.logits(image).argmax(1)

    @torch.inference_mode()
    def logits(self, image: Tensor) -> Tensor:
        """RGB uint8 (N, 3, H, W) -> float32 (N, K, H, W)."""
        logits: Tensor = self._net(image.float() / 255)
        return logits
