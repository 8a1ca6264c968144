"""How much of an image the autoencoder reconstructs, by the stages that learn together."""

from typing import NamedTuple

import torch
from torch import Tensor

from segnet.data.sample import Dataset
from segnet.data.transforms import image_to_tensor
from segnet.device import DeviceSpec
from segnet.models.autoencoder import NUM_STAGES, Autoencoder

WATCHED = 8


class Span(NamedTuple):
    """The stages that learn together, by number: one stage, or all."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"stage {self.first}" if self.first == self.last else f"stages {self.first} to {self.last}"


class Rebuilt(NamedTuple):
    """How well images are reconstructed.

    Attributes:
        mean_squared_error: over all values.
        lost_share: that error over the variance of the input around each image's channel means: 0 is perfect, 1
            is no better than one value per channel of an image.
    """

    mean_squared_error: float
    lost_share: float


def spans_of_training(*, layerwise: bool) -> tuple[Span, ...]:
    """The spans that learn, in order: each stage separately, or all at once."""
    return tuple(Span(n, n) for n in range(1, NUM_STAGES + 1)) if layerwise else (Span(1, NUM_STAGES),)


def measure(model: Autoencoder, dataset: Dataset, device_spec: DeviceSpec, span: Span, count: int = WATCHED) -> Rebuilt:
    """Measures how well the stages of `span` reconstruct their input, on the first `count` images.

    Args:
        model: on the device of `device_spec`.
        dataset: not empty.
        device_spec: device and precision.
        span: the stages.
        count: at most this many images.
    """
    squares = variance = values = 0.0
    for index in range(min(count, len(dataset))):
        given, rebuilt = rebuild(model, image_to_tensor(dataset[index].image)[None], device_spec, span)
        squares += (rebuilt - given).square().sum().item()
        variance += (given - given.mean((2, 3), keepdim=True)).square().sum().item()
        values += given.numel()
    return Rebuilt(squares / values, squares / max(variance, 1e-12))


@torch.no_grad()
def rebuild(model: Autoencoder, image: Tensor, device_spec: DeviceSpec, span: Span) -> tuple[Tensor, Tensor]:
    """The input of the first stage of `span` for images, and its reconstruction.

    Args:
        model: on the device of `device_spec`.
        image: RGB float32 (N, 3, H, W) in [0, 1].
        device_spec: device and precision.
        span: the stages.

    Returns:
        Two float32 (N, C, h, w): the normalised image when the span begins with stage 1, else features.
    """
    with device_spec.autocast():
        given = given_to(model, image.to(device_spec.device, memory_format=torch.channels_last), span)
        rebuilt = model.reconstruct(given, *span)
    return given.float(), rebuilt.float()


def given_to(model: Autoencoder, image: Tensor, span: Span) -> Tensor:
    """The input of the first stage of a span for RGB (N, 3, H, W) in [0, 1]: (N, C, h, w)."""
    given: Tensor = model.encoder(model.normalisation(image), 1, span.first - 1)[0]
    return given
