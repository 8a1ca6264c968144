"""All models by name. Each takes RGB (N, 3, H, W) in [0, 1] and gives logits (N, K, H, W)."""

from typing import Protocol

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
from segnet.models.unet import UNet
from segnet.nn.layers import Normalisation

__all__ = ["MODELS", "create_model"]


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


def create_model(name: str, num_classes: int, normalisation: Normalisation | None = None) -> nn.Module:
    """A model with randomly initialised weights.

    Args:
        name: a key of `MODELS`.
        num_classes: K, at least 1.
        normalisation: of the input; None takes the model's own default.

    Raises:
        ConfigError: unknown name, or no class.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model '{name}'; {nearest(name, MODELS)}")
    if num_classes < 1:
        raise ConfigError(f"model '{name}': expected at least one class, got {num_classes}")
    if normalisation is None:
        return MODELS[name](num_classes)
    return MODELS[name](num_classes, normalisation=normalisation)
