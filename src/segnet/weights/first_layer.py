"""Carries the filters of a first layer over to another number of channels.

The filters are repeated over the new channels and scaled, so that the layer's output keeps its size for channels of
similar values; a single channel gets the sum. Filters trained on RGB are a better start than random ones, since most
edges show in all channels.

Source:
    timm's `adapt_input_conv`, for the rule.
"""

import torch
from torch import Tensor

from segnet.errors import WeightsError
from segnet.nn.normalisation import IMAGENET_STD, Normalisation


def carry_channels(filters: Tensor, in_channels: int) -> Tensor:
    """The filters for another number of channels.

    Args:
        filters: (O, C, k, k).
        in_channels: C' of the new layer.

    Returns:
        (O, C', k, k), a new tensor: for C' = 1 the sum over channels; else channel c has the filter of channel c
        modulo C, times C / C'.
    """
    channels = filters.shape[1]
    if in_channels == 1:
        return filters.sum(1, keepdim=True)
    repeated = filters[:, torch.arange(in_channels) % channels]
    return repeated * (channels / in_channels)


def as_mean_std(filters: Tensor, normalisation: Normalisation | None) -> Tensor:
    """Filters trained with another input normalisation, for an input of mean 0 and deviation 1 per RGB channel.

    Args:
        filters: (O, 3, k, k) for BGR normalisations; any for `mean_std`.
        normalisation: that the filters were trained with.

    Returns:
        (O, 3, k, k). What differs between the means is a constant per filter, which the BN that follows removes.

    Raises:
        WeightsError: `lrn` or `lcn`, which are not affine.
    """
    if normalisation == "mean_std":
        return filters
    if normalisation in ("caffe_bgr", "raw_bgr"):
        deviation = torch.tensor(IMAGENET_STD, dtype=filters.dtype, device=filters.device).view(1, 3, 1, 1)
        return filters.flip(1) * (255.0 * deviation)
    raise WeightsError(
        f"filters of input normalisation '{normalisation}' cannot be carried over to 'mean_std'; use weights of "
        "'mean_std' or 'caffe_bgr', or give the model the same normalisation"
    )
