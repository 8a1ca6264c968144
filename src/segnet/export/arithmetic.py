"""The model for formats without comparison and selection: pooling indices computed by subtraction and ReLU.

A pixel is a maximum of its window where `relu(1 - HUGE * (maximum - pixel))` is 1. Unpooling writes to a pixel where
`relu(1 - |rank - own rank|)` is 1. Both are 0 elsewhere. The results equal those of `runtime.ranks` in float32 and
bfloat16. In float16 `HUGE` is infinite, so these files run in float32 or bfloat16 only.
"""

import copy
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.export.record import Request
from segnet.nn.normalisation import LocalContrast
from segnet.runtime import ranks
from segnet.runtime.fold import replace_calls
from segnet.runtime.graph import InferenceModel, inference_model

HUGE = 3e38
_FLOOR = 1e-4


def arithmetic_model(request: Request) -> InferenceModel:
    """Returns the folded model for images of one size, without comparison or selection operators."""
    assert request.size_px is not None  # `export_weights` has refused dynamic sizes
    size_px = request.size_px
    model = copy.deepcopy(request.model)
    if isinstance(contrast := model.get_submodule("normalisation"), LocalContrast):
        model.set_submodule("normalisation", FixedContrast(contrast, size_px))
    for halvings in range(max(size_px).bit_length() + 1):  # made before tracing, so that they become constants
        _own_rank((-(-size_px[0] >> halvings), -(-size_px[1] >> halvings)))
    made = inference_model(model, answer=request.answer)
    replace_calls(made.model, {ranks.max_pool: _max_pool, ranks.max_unpool: _max_unpool})  # type: ignore[arg-type]
    return made


class FixedContrast(nn.Module):
    """`LocalContrast` for images of one size, where the blurred weight of the image area is a constant.

    Args:
        contrast: the normalisation to copy.
        size_px: (height, width).
    """

    def __init__(self, contrast: LocalContrast, size_px: tuple[int, int]) -> None:
        super().__init__()
        self.in_channels = contrast.in_channels
        self.bell = nn.Buffer(contrast.bell.clone())
        self.weight = nn.Buffer(self._blurred(torch.ones(1, 1, *size_px)))

    def _blurred(self, image: Tensor) -> Tensor:
        radius = self.bell.shape[-1] // 2
        rows = F.conv2d(image, self.bell, padding=(0, radius))
        return F.conv2d(rows, self.bell.transpose(2, 3), padding=(radius, 0))

    def forward(self, image: Tensor) -> Tensor:
        """(1, C, H, W) in [0, 1] -> normalised, the same shape."""
        centred = image - self._blurred(image.mean(1, keepdim=True)) / self.weight
        variance = self._blurred((centred * centred).mean(1, keepdim=True)) / self.weight
        deviation = F.relu(variance).sqrt()  # (N, 1, H, W)
        floor = F.relu(deviation.mean((2, 3), keepdim=True) - _FLOOR) + _FLOOR
        return centred / torch.maximum(deviation, floor)


def _max_pool(image: Tensor) -> tuple[Tensor, ranks.Ranks]:
    size = (image.shape[2], image.shape[3])
    pooled = F.max_pool2d(image, 2, 2, ceil_mode=True)
    is_maximum = F.relu(1 - (_enlarged(pooled, size) - image) * HUGE)
    rank = F.max_pool2d(is_maximum * _own_rank(size), 2, 2, ceil_mode=True)
    return pooled, ranks.Ranks(rank, size)


def _max_unpool(pooled: Tensor, indices: ranks.Ranks) -> Tensor:
    away = _enlarged(indices.rank, indices.size) - _own_rank(indices.size)
    return _enlarged(pooled, indices.size) * F.relu(1 - away.abs())


def _enlarged(features: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")[:, :, : size[0], : size[1]]


@cache
def _own_rank(size: tuple[int, int]) -> Tensor:
    """The rank of every pixel in its window, (1, 1, H, W)."""
    rows, columns = torch.arange(size[0]) % 2, torch.arange(size[1]) % 2
    return (4.0 - 2 * rows[:, None] - columns)[None, None]
