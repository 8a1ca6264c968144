"""Tent initialisation: each convolution of a decoder starts as a tent filter that passes its own channel on.

After unpooling three values of four are zeros. A random convolution mixes all channels of that sparse map into
noise, and SegNet has twelve in a row (SegNet-Basic four) between the encoder's features and the classifier. A
tent spreads each value over its neighbours instead, channel by channel, as bilinear interpolation would, so the
classifier sees the features from the first step.

Source:
    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015, section 4.3, initialise
    their deconvolutions as bilinear interpolation. SegNet's own decoders start at random (section 3.2): `init_he`.

Chosen:
    A tent in every convolution of the decoder, not only in those that receive an unpooled map: maxima lie on no
    grid, so one 3x3 tent leaves holes that the next ones fill. With the identity in the others, full SegNet was worse
    after 40 steps and equal after 80 (one seed). Comparison with He: `segnet benchmark initialisation`.
"""

import math

import torch
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.models.segnet import UnpoolingDecoder
from segnet.models.upsampling import bilinear_kernel

OWN_SHARE = 0.95
"""Norm of a 3x3 tent, in units of the mean norm of He's initialisation; larger filters scale by area (7x7: 49
to 9).

BN cancels any factor in the forward pass, but not in training: AdamW's steps do not depend on the norm, so they
turn a short filter away from its initial value within a few steps. Found with AdamW at the recipes' learning rates, one
seed each: SegNet's 3x3 filters did best with 1 of 1, 3 and 6; SegNet-Basic's 7x7 filters with 6 of 3, 6 and 12, while
He's initialisation gained little when scaled by six. SGD, whose steps shrink with the norm, was not tried with
long filters."""
DRAWN_SHARE = 0.3
"""Factor of He's random filter that is added to a 3x3 tent; larger filters scale by area. A 3x3 filter keeps the norm
of He's initialisation, since 0.95 ** 2 + 0.3 ** 2 is nearly 1."""


def tent_filter(kernel_px: int) -> Tensor:
    """A tent over the whole filter, which fills the gaps of an unpooled map: bilinear where 3x3.

    Args:
        kernel_px: odd side of the filter.

    Returns:
        (kernel_px, kernel_px), float32, above 0, largest in the middle; sum 4, since of four unpooled values one is not
        zero: a constant map that was pooled and unpooled is restored on average.
    """
    tent = bilinear_kernel((kernel_px + 1) // 2, kernel_px)
    return tent * (4 / tent.sum())


def init_tent(model: nn.Module) -> None:
    """Makes the decoder's convolutions pass their own channel on; call it after `init_he`, whose random filters it
    uses.

    Encoder, classifier and BN are unchanged, and no random numbers are used, so a seed gives the same encoder and
    classifier with both initialisations.

    Args:
        model: a model whose `decoder` is an `UnpoolingDecoder`.

    Raises:
        ConfigError: a model with another decoder, or none; it is not changed.
    """
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, UnpoolingDecoder):
        raise ConfigError(
            f"{type(model).__name__} has no decoder of unpooling and convolutions, so tent does not apply; "
            "use model.init = 'he'"
        )
    for conv in decoder.convolutions():
        _pass_on(conv, tent_filter(conv.kernel_size[0]))


def own_channels(conv: nn.Conv2d) -> Tensor:
    """The input channels that an output channel passes on: those of the same number, modulo the smaller width.

    As many channels in as out: each passes its own. Twice as many in: channel o passes o and o + C_out, so no input
    is lost. With groups, the same inside each group.

    Returns:
        bool (C_out, C_in / groups).
    """
    outputs, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    period = min(outputs, inputs)
    own = torch.arange(outputs)[:, None] % period == torch.arange(inputs) % period
    return own.repeat(conv.groups, 1)


def _pass_on(conv: nn.Conv2d, kernel: Tensor) -> None:
    """The kernel (k, k) on each own channel, plus a share of the random filter."""
    own = own_channels(conv)
    per_filter = own.sum(1).sqrt()[:, None, None, None]  # with one own channel or two, the norm of a filter is 1
    unit = own[:, :, None, None] * (kernel / kernel.norm()) / per_filter  # (C_out, C_in / groups, k, k)
    area = kernel.numel() / 9
    with torch.no_grad():
        # He's variance is 2 / fan_in for each of fan_in values: a norm of sqrt(2), whatever the size
        conv.weight.mul_(DRAWN_SHARE * area).add_(unit.to(conv.weight), alpha=OWN_SHARE * area * math.sqrt(2))
