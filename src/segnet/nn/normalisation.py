"""Input normalisation: the first module of every model, so that weights, exports and the demo share one path.

Every model takes images in [0, 1] of C channels, RGB where C is 3. The constants are created on the CPU, also in a
model whose parameters are on the meta device.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.errors import ConfigError, nearest

Normalisation = Literal["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OXFORD_MEAN_BGR = (103.939, 116.779, 123.68)
UNKNOWN_MEAN, UNKNOWN_STD = 0.5, 0.25


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel over a training set, of values in [0, 1].

    Args:
        mean: C values.
        std: C values above 0.

    Raises:
        ConfigError: of different length, or a standard deviation that is not above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ConfigError(
                f"channel statistics: {len(self.mean)} means and {len(self.std)} deviations; expected one of each"
            )
        if not all(deviation > 0 for deviation in self.std):
            raise ConfigError(f"channel statistics: std {self.std}: expected values above 0")


class MeanStd(nn.Module):
    """Subtracts a mean and divides by a standard deviation, channel by channel.

    Three channels without statistics are RGB and use ImageNet's. ImageNet has none for other channels: pass those of
    the training set (`segnet.data.channel_statistics`). Until then each channel uses mean 0.5 and deviation 0.25, which
    maps [0, 1] to [-2, 2]. Statistics other than ImageNet's are part of the `state_dict`, so that checkpoints and
    weights carry them.

    Args:
        in_channels: C of the image.
        statistics: of each channel; None as described above.

    Raises:
        ConfigError: statistics of another number of channels.
    """

    name: Normalisation = "mean_std"

    def __init__(self, in_channels: int = 3, statistics: ChannelStatistics | None = None) -> None:
        super().__init__()
        self.in_channels = in_channels
        if statistics is not None and len(statistics.mean) != in_channels:
            raise ConfigError(f"statistics of {len(statistics.mean)} channels for a model of {in_channels} channels")
        is_imagenet = statistics is None and in_channels == 3
        if is_imagenet:
            statistics = ChannelStatistics(IMAGENET_MEAN, IMAGENET_STD)
        elif statistics is None:
            statistics = ChannelStatistics((UNKNOWN_MEAN,) * in_channels, (UNKNOWN_STD,) * in_channels)
        # ImageNet's stay out of the state_dict, whose keys are public: three-channel weights have none for them.
        mean, std = (torch.tensor(v, device="cpu").view(1, -1, 1, 1) for v in (statistics.mean, statistics.std))
        self.mean = nn.Buffer(mean, persistent=not is_imagenet)
        self.std = nn.Buffer(std, persistent=not is_imagenet)

    @property
    def statistics(self) -> ChannelStatistics | None:
        """The statistics in use; None for ImageNet's."""
        if "mean" not in self.state_dict():
            return None
        return ChannelStatistics(tuple(self.mean.flatten().tolist()), tuple(self.std.flatten().tolist()))

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> normalised, the same shape."""
        return (image - self.mean) / self.std


class CaffeBGR(nn.Module):
    """RGB in [0, 1] to the input of Caffe models: BGR, 0..255, minus a mean.

    Args:
        name: `caffe_bgr` subtracts the mean of the Oxford VGG16, (103.939, 116.779, 123.68); `raw_bgr`, for the
            authors' released SegNets, subtracts none.
    """

    in_channels = 3

    def __init__(self, name: Literal["caffe_bgr", "raw_bgr"] = "caffe_bgr") -> None:
        super().__init__()
        self.name: Normalisation = name
        mean_bgr = OXFORD_MEAN_BGR if name == "caffe_bgr" else (0.0, 0.0, 0.0)
        self.mean = nn.Buffer(torch.tensor(mean_bgr, device="cpu").view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> normalised, the same shape."""
        return image.flip(1) * 255.0 - self.mean


class CrossChannelLRN(nn.Module):
    """Local response normalisation across channels, on BGR 0..255: the first layer of the released SegNet-Basic.

    With three channels a window of five always sees all three, so
    `y = x / (1 + alpha / 5 * (B^2 + G^2 + R^2)) ** 0.75`, where alpha is 1e-4 as float32: numbers of a prototxt reach
    Caffe in that type, also in its double-precision runs.

    Source:
        The authors' segnet_basic prototxt: LRN, size 5, alpha 1e-4, beta 0.75.
    """

    name: Normalisation = "lrn"
    in_channels = 3
    alpha = 9.999999747378752e-05

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> normalised, the same shape."""
        bgr = image.flip(1) * 255.0
        return bgr / (1.0 + self.alpha / 5 * bgr.square().sum(1, keepdim=True)).pow(0.75)


class LocalContrast(nn.Module):
    """Local contrast normalisation: each pixel minus its neighbourhood's mean, over the neighbourhood's deviation.

    Mean and deviation are weighted by a Gaussian over a window and over all channels together. A deviation below the
    image's own average is replaced by that average, so flat regions are not amplified. At the border the weights
    inside the image are scaled to sum 1, so a constant image becomes zero everywhere. Computed in float32 under
    autocast too: a pixel and its neighbourhood's mean are close, and the 8 bits of bfloat16 cannot tell them apart.

    Args:
        in_channels: C of the image.
        window_px: odd side of the window, in pixels.
        sigma_px: standard deviation of the Gaussian, in pixels.

    Source:
        Jarrett, Kavukcuoglu, Ranzato, LeCun: What is the best multi-stage architecture for object recognition?,
        ICCV 2009, section 2.2 (9x9 window); named by SegNet, section 3.2, for its RGB input.
    """

    name: Normalisation = "lcn"

    def __init__(self, in_channels: int = 3, window_px: int = 9, sigma_px: float = 1.591) -> None:
        super().__init__()
        self.in_channels = in_channels
        steps = torch.arange(window_px, device="cpu") - (window_px - 1) / 2
        bell = torch.exp(-0.5 * (steps / sigma_px) ** 2)
        self.bell = nn.Buffer((bell / bell.sum()).view(1, 1, 1, -1), persistent=False)

    def _neighbourhood_mean(self, image: Tensor) -> Tensor:
        radius = self.bell.shape[-1] // 2
        mean = image.mean(1, keepdim=True)  # (N, 1, H, W): over channels
        stacked = torch.cat([mean, torch.ones_like(mean)])  # the second half gives the weight inside the image
        stacked = F.conv2d(stacked, self.bell, padding=(0, radius))
        stacked = F.conv2d(stacked, self.bell.transpose(2, 3), padding=(radius, 0))
        value, weight = stacked.chunk(2)
        return value / weight

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> normalised, the same shape."""
        device = self.bell.device.type  # an image that is being traced has no device
        if device == "meta" or not torch.is_autocast_enabled(device):  # meta has no autocast
            return self._normalised(image)
        with torch.autocast(device, enabled=False):
            return self._normalised(image.float())

    def _normalised(self, image: Tensor) -> Tensor:
        centred = image - self._neighbourhood_mean(image)  # (N, C, H, W)
        deviation = self._neighbourhood_mean(centred.square()).clamp_min(0).sqrt()  # (N, 1, H, W)
        floor = deviation.mean((2, 3), keepdim=True).clamp_min(1e-4)
        return centred / torch.maximum(deviation, floor)


InputNormalisation = MeanStd | CaffeBGR | CrossChannelLRN | LocalContrast


def create_normalisation(
    name: Normalisation, in_channels: int = 3, statistics: ChannelStatistics | None = None
) -> InputNormalisation:
    """Creates the input normalisation `name`; it takes (N, C, H, W) in [0, 1].

    Args:
        name: of the normalisation; `mean_std` and `lcn` work for any number of channels, the others for RGB only.
        in_channels: C of the image, at least 1.
        statistics: of each channel, for `mean_std`; None as in `MeanStd`.

    Raises:
        ConfigError: no normalisation of that name, or one that does not fit the channels or the statistics.
    """
    if name not in get_args(Normalisation):
        raise ConfigError(f"unknown input normalisation '{name}'; {nearest(name, get_args(Normalisation))}")
    if in_channels < 1:
        raise ConfigError(f"in_channels {in_channels}: expected at least 1")
    if statistics is not None and name != "mean_std":
        raise ConfigError(f"input normalisation '{name}' has no channel statistics; use 'mean_std'")
    if name == "mean_std":
        return MeanStd(in_channels, statistics)
    if name == "lcn":
        return LocalContrast(in_channels)
    if in_channels != 3:
        raise ConfigError(
            f"input normalisation '{name}' is for RGB images, and the model has {in_channels} channels; "
            "use 'mean_std' or 'lcn'"
        )
    return CrossChannelLRN() if name == "lrn" else CaffeBGR(name)


def normalisation_of(model: nn.Module) -> InputNormalisation:
    """The input normalisation of a model of this package.

    Raises:
        ConfigError: the model has none, or its normalisation is of another package.
    """
    module = getattr(model, "normalisation", None)
    if isinstance(module, InputNormalisation):
        return module
    raise ConfigError(
        f"{type(model).__name__}: its `normalisation` is {type(module).__name__}, which is not an input normalisation "
        "of this package"
    )


def statistics_of(model: nn.Module) -> ChannelStatistics | None:
    """The channel statistics that a model of this package carries; None if it uses ImageNet's or has none."""
    module = normalisation_of(model)
    return module.statistics if isinstance(module, MeanStd) else None
