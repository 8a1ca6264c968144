"""Upsampling by an integer factor, fixed or learnt, for models without pooling indices.

Pooling in ceil mode aligns the map of size ceil(H / f) with the image's top left corner, so a map that is upsampled by
f and cropped at the right and the bottom is aligned with the image, whatever its size.

Source:
    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015, section 3.3.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def crop(features: Tensor, size: tuple[int, ...]) -> Tensor:
    """The top left (H, W) = `size` of a map (N, C, >= H, >= W)."""
    sides: tuple[Any, ...] = (size[0], size[1])
    if any(isinstance(side, torch.SymInt) for side in sides):
        # an exporter would drop a slice that removes nothing at the example's size, for all sizes
        rows, columns = (torch.arange(side, device=features.device) for side in sides)
        return features.index_select(2, rows).index_select(3, columns)
    return features[:, :, : size[0], : size[1]]


def upsample_bilinear(features: Tensor, factor: int) -> Tensor:
    """(N, C, h, w) -> (N, C, factor * h, factor * w); values beyond the border repeat the border."""
    return F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)


def learnt_upsampling(channels: int, factor: int, kernel_px: int) -> nn.ConvTranspose2d:
    """A transposed convolution (N, C, h, w) -> (N, C, factor * h, factor * w), each output from all C inputs.

    Args:
        channels: C.
        factor: even.
        kernel_px: even side of the filters, at least `factor`.
    """
    return nn.ConvTranspose2d(channels, channels, kernel_px, factor, (kernel_px - factor) // 2, bias=False)


def bilinear_kernel(factor: int, kernel_px: int) -> Tensor:
    """Bilinear interpolation by `factor` as the filter of a transposed convolution of that stride.

    Args:
        factor: the stride; the filter is a tent of twice that side.
        kernel_px: side of the filter; a larger one than `2 * factor` is zero around the tent, a smaller one cuts off
            the tent's edge.

    Returns:
        (kernel_px, kernel_px), float32; symmetric, at least 0.
    """
    distance = (torch.arange(kernel_px) - (kernel_px - 1) / 2).abs()
    tent = (1 - distance / factor).clamp_min(0)
    return tent[:, None] * tent


def init_bilinear(model: nn.Module) -> None:
    """Makes every transposed convolution a bilinear interpolation, each channel separately; call it after `init_he`."""
    for module in model.modules():
        if isinstance(module, nn.ConvTranspose2d):
            kernel = bilinear_kernel(module.stride[0], module.kernel_size[0])
            with torch.no_grad():
                module.weight.zero_()
                for channel in range(min(module.weight.shape[:2])):
                    module.weight[channel, channel] = kernel
