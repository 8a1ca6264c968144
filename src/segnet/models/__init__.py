"""All models by name. Each takes images (N, C, H, W) in [0, 1], RGB by default, and gives logits (N, K, H, W)."""

from typing import Literal, Protocol, get_args

from torch import nn

from segnet.errors import ConfigError, nearest
from segnet.models.autoencoder import Autoencoder
from segnet.models.decoders import (
    BilinearInterpolation,
    FCNBasic,
    FCNBasicNoAddition,
    FCNBasicNoAdditionNoDimReduction,
    FCNBasicNoDimReduction,
    SegNetBasicEncoderAddition,
    SegNetBasicSingleChannelDecoder,
)
from segnet.models.deconvnet import DeconvNet
from segnet.models.deeplab import DeepLabLargeFOV
from segnet.models.enet import ENet
from segnet.models.fcn import FCN8s, FCN8sLearnt, FCN16s, FCN32s
from segnet.models.segnet import BayesianSegNet, BayesianSegNetBasic, BayesianSegNetCamVid, SegNet, SegNetBasic
from segnet.models.tent import init_tent
from segnet.models.unet import UNet
from segnet.models.widths import Widths, set_widths
from segnet.nn.normalisation import ChannelStatistics, Normalisation, create_normalisation

__all__ = ["MODELS", "TENT_MODELS", "Initialisation", "Widths", "create_model"]

Initialisation = Literal["he", "tent"]


class _Model(Protocol):
    def __call__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = ...) -> nn.Module: ...


MODELS: dict[str, _Model] = {
    "segnet": SegNet,
    "segnet-basic": SegNetBasic,
    "bayesian-segnet": BayesianSegNet,
    "bayesian-segnet-basic": BayesianSegNetBasic,
    "bayesian-segnet-camvid": BayesianSegNetCamVid,
    "bilinear-interpolation": BilinearInterpolation,
    "segnet-basic-encoder-addition": SegNetBasicEncoderAddition,
    "segnet-basic-single-channel-decoder": SegNetBasicSingleChannelDecoder,
    "fcn-basic": FCNBasic,
    "fcn-basic-no-addition": FCNBasicNoAddition,
    "fcn-basic-no-dim-reduction": FCNBasicNoDimReduction,
    "fcn-basic-no-addition-no-dim-reduction": FCNBasicNoAdditionNoDimReduction,
    "fcn-32s": FCN32s,
    "fcn-16s": FCN16s,
    "fcn-8s": FCN8s,
    "fcn-8s-learnt": FCN8sLearnt,
    "deconvnet": DeconvNet,
    "unet": UNet,
    "enet": ENet,
    "deeplab-largefov": DeepLabLargeFOV,
    "autoencoder": Autoencoder,
}


# The models whose decoder unpools and then convolves, which `init_tent` requires.
TENT_MODELS = (
    "segnet",
    "segnet-basic",
    "bayesian-segnet",
    "bayesian-segnet-camvid",
    "bayesian-segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "deconvnet",
)


def create_model(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    *,
    normalisation: Normalisation | None = None,
    statistics: ChannelStatistics | None = None,
    init: Initialisation = "he",
    widths: Widths | None = None,
) -> nn.Module:
    """Creates a model with randomly initialised weights. `segnet.create_model` also loads weights to start from.

    Args:
        name: a key of `MODELS`.
        num_classes: K, at least 1.
        in_channels: C of the image, at least 1.
        normalisation: of the input; None uses the model's own default for RGB, and `mean_std` for other channels.
        statistics: of each channel, for `mean_std`; None uses ImageNet's for three channels, else as in `MeanStd`.
        init: `he` makes every filter random, as the paper does; `tent` initialises the decoder's filters so that
            they pass their input on, in the models of `TENT_MODELS` (`models/tent.py`).
        widths: channels of the layers of a lean model, as its weights card has them; None is the paper's model.

    Raises:
        ConfigError: unknown name or initialisation, no class, no channel, a normalisation that does not fit the
            channels, widths that do not fit the model, or `tent` for a model that has no such decoder.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model '{name}'; {nearest(name, MODELS)}")
    if num_classes < 1:
        raise ConfigError(f"model '{name}': expected at least one class, got {num_classes}")
    if not isinstance(in_channels, int):
        raise ConfigError(f"model '{name}': in_channels: expected a whole number, got {in_channels!r}")
    if init not in get_args(Initialisation):
        raise ConfigError(f"unknown initialisation '{init}'; {nearest(init, get_args(Initialisation))}")
    if init == "tent" and name not in TENT_MODELS:  # checked first, because initialising a large model takes time
        raise ConfigError(
            f"model.init 'tent' is for a decoder of unpooling and convolutions, which '{name}' does not have; "
            f"use 'he', or one of {', '.join(TENT_MODELS)}"
        )
    if normalisation is None and (in_channels != 3 or statistics is not None):
        normalisation = "mean_std"
    if normalisation is None:
        model = MODELS[name](num_classes)
    else:
        model = MODELS[name](num_classes, in_channels=in_channels, normalisation=normalisation)
    if statistics is not None and normalisation is not None:
        model.normalisation = create_normalisation(normalisation, in_channels, statistics)
    if init == "tent":
        init_tent(model)
    if widths:
        set_widths(model, widths)
    return model
