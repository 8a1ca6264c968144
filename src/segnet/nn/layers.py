"""The layers that all models share: input normalisation, convolution + BN + ReLU, He initialisation.

Input normalisation belongs to the model, so weights, exports and the demo share one path: every model takes RGB in [0,
1]. Its constants are made on the CPU, also in a model whose parameters are on no device yet.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.errors import ConfigError, nearest
from segnet.nn.recompute import convolution_again, is_recomputing, normalise, remember

Normalisation = Literal["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OXFORD_MEAN_BGR = (103.939, 116.779, 123.68)


class MeanStd(nn.Module):
    """Subtracts ImageNet's mean and divides by its standard deviation, channel by channel: RGB in, RGB out."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(IMAGENET_MEAN, device="cpu").view(1, 3, 1, 1), persistent=False)
        self.std = nn.Buffer(torch.tensor(IMAGENET_STD, device="cpu").view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


class CaffeBGR(nn.Module):
    """RGB in [0, 1] to what Caffe models were fed: BGR, 0..255, minus a mean.

    Args:
        mean_bgr: subtracted from B, G and R, in units of 0..255. The Oxford VGG16 was trained with
            (103.939, 116.779, 123.68); the authors' released SegNets with none.
    """

    def __init__(self, mean_bgr: tuple[float, float, float] = OXFORD_MEAN_BGR) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(mean_bgr, device="cpu").view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return image.flip(1) * 255.0 - self.mean


class CrossChannelLRN(nn.Module):
    """Local response normalisation across channels, on BGR 0..255: what the released SegNet-Basic begins with.

    With three channels a window of five always sees all three, so
    `y = x / (1 + alpha / 5 * (B^2 + G^2 + R^2)) ** 0.75`, where alpha is 1e-4 as float32: numbers of a prototxt reach
    Caffe in that type, also in its double-precision runs.

    Source:
        The authors' segnet_basic prototxt: LRN, size 5, alpha 1e-4, beta 0.75.
    """

    alpha = 9.999999747378752e-05

    def forward(self, image: Tensor) -> Tensor:
        bgr = image.flip(1) * 255.0
        return bgr / (1.0 + self.alpha / 5 * bgr.square().sum(1, keepdim=True)).pow(0.75)


class LocalContrast(nn.Module):
    """Local contrast normalisation: each pixel minus its neighbourhood's mean, over the neighbourhood's deviation.

    Mean and deviation are weighted by a Gaussian over a window and over all channels together. A deviation below the
    image's own average is replaced by that average, so flat regions are not blown up. At the border the weights are
    those inside the image, brought to sum 1, so a constant image becomes zero everywhere. Computed in float32 under
    autocast too: a pixel and its neighbourhood's mean are near each other, and 8 bits would not tell them apart.

    Args:
        window_px: odd side of the window, in pixels.
        sigma_px: standard deviation of the Gaussian, in pixels.

    Source:
        Jarrett, Kavukcuoglu, Ranzato, LeCun: What is the best multi-stage architecture for object recognition?,
        ICCV 2009, section 2.2 (9x9 window); named by SegNet, section 3.2, for its RGB input.
    """

    def __init__(self, window_px: int = 9, sigma_px: float = 1.591) -> None:
        super().__init__()
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
        device = self.bell.device.type  # of an image that is being traced nothing is known
        if device == "meta" or not torch.is_autocast_enabled(device):  # meta knows no autocast
            return self._normalised(image)
        with torch.autocast(device, enabled=False):
            return self._normalised(image.float())

    def _normalised(self, image: Tensor) -> Tensor:
        centred = image - self._neighbourhood_mean(image)  # (N, 3, H, W)
        deviation = self._neighbourhood_mean(centred.square()).clamp_min(0).sqrt()  # (N, 1, H, W)
        floor = deviation.mean((2, 3), keepdim=True).clamp_min(1e-4)
        return centred / torch.maximum(deviation, floor)


def create_normalisation(name: Normalisation) -> nn.Module:
    """The input normalisation called `name`; each takes RGB (N, 3, H, W) in [0, 1].

    Raises:
        ConfigError: no normalisation of that name.
    """
    match name:
        case "mean_std":
            return MeanStd()
        case "caffe_bgr":
            return CaffeBGR()
        case "raw_bgr":
            return CaffeBGR((0.0, 0.0, 0.0))
        case "lrn":
            return CrossChannelLRN()
        case "lcn":
            return LocalContrast()
    raise ConfigError(f"unknown input normalisation '{name}'; {nearest(name, get_args(Normalisation))}")


def normalisation_name(normalisation: nn.Module) -> Normalisation:
    """The inverse of `create_normalisation`, by class and constants, whatever type the constants were brought to.

    Raises:
        ConfigError: a module of another kind.
    """
    for name in get_args(Normalisation):
        made = create_normalisation(name)
        if type(made) is not type(normalisation):
            continue
        pairs = zip(made.buffers(), normalisation.buffers(), strict=True)
        if all(torch.allclose(a.float(), b.detach().float().cpu(), rtol=0.01) for a, b in pairs):
            return name  # type: ignore[no-any-return]
    raise ConfigError(f"{type(normalisation).__name__} is not an input normalisation of this package")


class ConvBN(nn.Sequential):
    """Convolution without bias, batch normalisation and, unless told otherwise, ReLU; size is kept.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_px: odd side of the filter.
        relu: whether a ReLU follows.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_px: int = 3, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_px, padding=kernel_px // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        if relu:
            self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) -> (N, C', H, W)."""
        if self.conv.bias is not None or not (self.training and is_recomputing()):  # recomputing knows no bias
            return super().forward(features)  # type: ignore[no-any-return, no-untyped-call]
        convolved = self.conv(features)
        if features.shape[1] < convolved.shape[1] // 8:  # the first layer: cheaper to repeat than to keep
            remember(convolved, convolution_again(features, self.conv, convolved))
        return normalise(convolved, self.norm, relu=len(self) == 3)


def init_he(model: nn.Module) -> None:
    """Draws every convolution from He's normal distribution (fan in), zeroes biases, makes BN the identity.

    Source:
        SegNet, section 3.2; Caffe's `msra` filler: standard deviation sqrt(2 / fan_in).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
