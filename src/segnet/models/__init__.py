"""All models by name. Each takes RGB (N, 3, H, W) in [0, 1] and gives logits (N, K, H, W)."""

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
from segnet.models.segnet import BayesianSegNet, BayesianSegNetBasic, SegNet, SegNetBasic
from segnet.models.tent import init_tent
from segnet.models.unet import UNet
from segnet.nn.layers import Normalisation

__all__ = ["MODELS", "TENT_MODELS", "Initialisation", "create_model"]

Initialisation = Literal["he", "tent"]


class _Model(Protocol):
    def __call__(self, num_classes: int, *, normalisation: Normalisation = ...) -> nn.Module: ...


MODELS: dict[str, _Model] = {
    "segnet": SegNet,
    "segnet-basic": SegNetBasic,
    "bayesian-segnet": BayesianSegNet,
    "bayesian-segnet-basic": BayesianSegNetBasic,
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


# The models whose decoder unpools and then convolves: those that `init_tent` takes.
TENT_MODELS = (
    "segnet",
    "segnet-basic",
    "bayesian-segnet",
    "bayesian-segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "deconvnet",
)


def create_model(
    name: str, num_classes: int, normalisation: Normalisation | None = None, *, init: Initialisation = "he"
) -> nn.Module:
    """A model with randomly initialised weights.

    Args:
        name: a key of `MODELS`.
        num_classes: K, at least 1.
        normalisation: of the input; None takes the model's own default.
        init: `he` draws every filter, as the paper does; `tent` lets the decoder begin by passing its input on, in the
            models of `TENT_MODELS` (`models/tent.py`).

    Raises:
        ConfigError: unknown name or initialisation, no class, or `tent` for a model that cannot begin so.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model '{name}'; {nearest(name, MODELS)}")
    if num_classes < 1:
        raise ConfigError(f"model '{name}': expected at least one class, got {num_classes}")
    if init not in get_args(Initialisation):
        raise ConfigError(f"unknown initialisation '{init}'; {nearest(init, get_args(Initialisation))}")
    if init == "tent" and name not in TENT_MODELS:  # before 134 million weights are drawn in vain
        raise ConfigError(
            f"model.init 'tent' is for a decoder of unpooling and convolutions, which '{name}' has not; "
            f"use 'he', or one of {', '.join(TENT_MODELS)}"
        )
    model = (
        MODELS[name](num_classes) if normalisation is None else MODELS[name](num_classes, normalisation=normalisation)
    )
    if init == "tent":
        init_tent(model)
    return model
