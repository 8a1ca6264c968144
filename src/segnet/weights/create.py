"""Models by name of their weights, as plain modules: `segnet.load` and `segnet.create_model`."""

from pathlib import Path

from torch import nn

from segnet import models
from segnet.models import Initialisation
from segnet.nn.normalisation import ChannelStatistics, Normalisation
from segnet.weights.file import find_weights, load_matching, load_weights, read_card, widths_in
from segnet.weights.vgg16 import VGG16_FILES, find_vgg16, load_vgg16


def load(weights: str | Path) -> nn.Module:
    """A trained model: (N, C, H, W) in [0, 1] -> logits (N, K, H, W).

    Args:
        weights: a key of `WEIGHTS`, such as `segnet-camvid`; a `.safetensors` file; or an address, such as
            `hf://owner/repo@revision` (extra `hub`) or `https://.../W.safetensors#sha256=HEX`.

    Returns:
        The model, float32, on the CPU, in eval mode. `load_weights` also returns the card with its label set.

    Raises:
        WeightsError: unknown name, file missing or broken, a pickle, or tensors that do not fit the model.

    Example:
        >>> model = segnet.load("segnet-basic-camvid")
        >>> model(torch.rand(1, 3, 45, 60)).shape
        torch.Size([1, 11, 45, 60])
    """
    return load_weights(weights)[0]


def create_model(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    weights: str | Path | None = None,
    *,
    normalisation: Normalisation | None = None,
    statistics: ChannelStatistics | None = None,
    carry_first_layer: bool = False,
    init: Initialisation = "he",
) -> nn.Module:
    """A model to train, randomly initialised or started from weights.

    Args:
        name: a key of `MODELS`.
        num_classes: K, at least 1.
        in_channels: C of the image, at least 1.
        weights: to start from: a key of `WEIGHTS`, an address or a `.safetensors` file of this package, of which every
            tensor is loaded that fits by name and shape (from those of a lean model of that name the model takes its
            widths too); or ImageNet weights for a VGG16 encoder, `oxford`, `torchvision` or
            `torchvision-bn`, whose first layer is carried over to other channels. None starts at random.
        normalisation: of the input; None uses that of the weights where it fits the channels, else the model's own
            default for RGB, and `mean_std` for other channels.
        statistics: of each channel, for `mean_std`; None uses ImageNet's for three channels, else as in `MeanStd`.
        carry_first_layer: accept weights of another number of channels; the first layer's filters are repeated over
            the channels and scaled.
        init: of weights that are not loaded, as in `segnet.models.create_model`.

    Returns:
        The model, float32, on the CPU, in training mode.

    Raises:
        ConfigError: unknown name, no class, no channel, or a normalisation that does not fit the channels.
        WeightsError: the weights cannot be read or do not fit; says what could be changed.

    Example:
        >>> model = segnet.create_model("segnet-basic", num_classes=4, in_channels=6)
        >>> model(torch.rand(2, 6, 45, 60)).shape
        torch.Size([2, 4, 45, 60])
    """
    is_vgg16 = weights in VGG16_FILES
    path = find_weights(weights) if weights is not None and not is_vgg16 else None
    if normalisation is None and path is not None:
        card = read_card(path)
        normalisation = card.normalisation if card.in_channels == in_channels else None
    if normalisation is None and is_vgg16 and in_channels == 3:
        normalisation = "caffe_bgr" if weights == "oxford" else "mean_std"
    model = models.create_model(
        name,
        num_classes,
        in_channels,
        normalisation=normalisation,
        statistics=statistics,
        init=init,
        widths=widths_in(path, name) if path is not None else None,
    )
    if is_vgg16:
        load_vgg16(model, find_vgg16(str(weights)))
    elif path is not None:
        load_matching(model, path, carry_first_layer=carry_first_layer)
    return model
