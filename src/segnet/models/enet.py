"""ENet: a small, fast model of bottlenecks that unpools with indices twice; 0.4 M parameters.

    image -> normalisation -> encoder (initial, stages 1-3) -> features + pooling indices -> decoder (4-5) -> classifier

Every bottleneck adds a branch of three convolutions (1x1 to a quarter of the channels, the middle one, 1x1 back) to
a main path that is the identity, pools, or unpools.

Source:
    Paszke, Chaurasia, Kim, Culurciello: ENet, 2016, section 3, figure 2 and Table 1.

Deviates:
    Convolutions before BN have no bias (the released code has one in the middle convolutions). Pooling rounds up, so
    any size works.

Chosen:
    Where the text says nothing, as in the authors' released code: the initial block ends with BN and PReLU, BN has eps
    1e-3, the decoder has ReLU instead of PReLU and no dropout, the middle of an asymmetric branch has no BN, and the
    last full convolution is 2x2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models.upsampling import crop
from segnet.nn.layers import init_he
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.pooling import PoolingIndices, max_pool, max_unpool

_EPS = 1e-3


def _to_even(features: Tensor) -> Tensor:
    """One row or column of zeros at the end where the size is odd: strides of 2 then round up, as pooling does."""
    height, width = features.shape[2], features.shape[3]  # even by floor division: OpenVINO has no remainder of sizes
    return F.pad(features, (0, (width + 1) // 2 * 2 - width, 0, (height + 1) // 2 * 2 - height))


class InitialBlock(nn.Module):
    """13 maps of a 3x3 convolution of stride 2, and the image's 3 channels pooled: 16 maps of half the size.

    Args:
        in_channels: C of the image.

    Chosen:
        For other numbers of channels: 16 - C maps of the convolution and the C pooled channels, up to C = 8. With
        more channels too few maps would be learnt, so the convolution gives all 16 and nothing is pooled.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.pools_image = in_channels <= 8
        maps = 16 - in_channels if self.pools_image else 16
        self.conv = nn.Conv2d(in_channels, maps, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16, _EPS)
        self.activation = nn.PReLU(16)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 16, ceil(H / 2), ceil(W / 2))."""
        features: Tensor = self.conv(image)
        if self.pools_image:
            features = torch.cat([features, max_pool(image)[0]], dim=1)
        result: Tensor = self.activation(self.norm(features))
        return result


class Bottleneck(nn.Module):
    """The bottleneck that keeps size and channels; its middle convolution is plain, dilated or asymmetric.

    Args:
        channels: C, a multiple of 4.
        dilation: of the 3x3 convolution, in pixels.
        asymmetric_px: odd side k of a k x 1 and a 1 x k convolution instead of the 3x3 one; None for 3x3.
        dropout: probability that a whole map of the branch is dropped.
        relu: use ReLU instead of PReLU.
    """

    def __init__(
        self, channels: int, *, dilation: int = 1, asymmetric_px: int | None = None, dropout: float, relu: bool = False
    ) -> None:
        super().__init__()
        inner = channels // 4
        middle = nn.Sequential()
        if asymmetric_px is None:
            middle.append(nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False))
        else:
            px = asymmetric_px
            middle.append(nn.Conv2d(inner, inner, (px, 1), padding=(px // 2, 0), bias=False))
            middle.append(nn.Conv2d(inner, inner, (1, px), padding=(0, px // 2), bias=False))
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner, _EPS),
            _activation(inner, relu=relu),
            middle,
            nn.BatchNorm2d(inner, _EPS),
            _activation(inner, relu=relu),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels, _EPS),
            nn.Dropout2d(dropout),
        )
        self.activation = _activation(channels, relu=relu)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        result: Tensor = self.activation(features + self.branch(features))
        return result


class DownBottleneck(nn.Module):
    """The bottleneck that halves the size: the main path pools and is padded with channels of zeros.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, at least as many, a multiple of 4.
        dropout: probability that a whole map of the branch is dropped.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        inner = out_channels // 4
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, inner, 2, stride=2, bias=False),
            nn.BatchNorm2d(inner, _EPS),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner, _EPS),
            nn.PReLU(inner),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, _EPS),
            nn.Dropout2d(dropout),
        )
        self.activation = nn.PReLU(out_channels)

    @property
    def new_channels(self) -> int:
        """How many channels of zeros the main path is padded with; counted, since a lean model has fewer."""
        first, last = self.branch[0], self.branch[6]
        return int(last.out_channels) - int(first.in_channels)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, PoolingIndices]:
        """(N, C, h, w) -> (N, C', ceil(h / 2), ceil(w / 2)) and the indices of its C pooled maps."""
        pooled, indices = max_pool(features)
        main = F.pad(pooled, (0, 0, 0, 0, 0, self.new_channels))
        return self.activation(main + self.branch(_to_even(features))), indices


class UpBottleneck(nn.Module):
    """The bottleneck that doubles the size: the main path unpools with the encoder's indices.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, that of the indices, a multiple of 4.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // 4
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels, _EPS)
        )
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False), nn.BatchNorm2d(inner, _EPS), nn.ReLU(inplace=True)
        )
        self.upsample = nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.expand = nn.Sequential(
            nn.BatchNorm2d(inner, _EPS),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, _EPS),
        )

    def forward(self, features: Tensor, indices: PoolingIndices) -> Tensor:
        """(N, C, h, w) and the indices of a map (N, C', H, W) -> (N, C', H, W)."""
        main = max_unpool(self.main(features), indices)
        branch: Tensor = self.expand(crop(self.upsample(self.reduce(features)), indices.size))
        return F.relu(main + branch)


def _activation(channels: int, *, relu: bool) -> nn.Module:
    return nn.ReLU(inplace=True) if relu else nn.PReLU(channels)


class ENetEncoder(nn.Module):
    """The initial block and stages 1 to 3: 128 maps of 1/8 of the size, and the indices of the two later poolings.

    Args:
        in_channels: C of the image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.initial = InitialBlock(in_channels)
        self.down1 = DownBottleneck(16, 64, dropout=0.01)
        self.stage1 = nn.Sequential(*(Bottleneck(64, dropout=0.01) for _ in range(4)))
        self.down2 = DownBottleneck(64, 128, dropout=0.1)
        self.stage2 = _dilated_stage()
        self.stage3 = _dilated_stage()

    def forward(self, image: Tensor) -> tuple[Tensor, list[PoolingIndices]]:
        """Normalised image (N, C, H, W) -> features (N, 128, h, w); indices of 16 maps, then of 64."""
        features, first = self.down1(self.initial(image))
        features, second = self.down2(self.stage1(features))
        return self.stage3(self.stage2(features)), [first, second]


def _dilated_stage() -> nn.Sequential:
    """Eight bottlenecks: plain, dilated by 2, asymmetric, dilated by 4, then the same with 8 and 16."""
    return nn.Sequential(
        Bottleneck(128, dropout=0.1),
        Bottleneck(128, dilation=2, dropout=0.1),
        Bottleneck(128, asymmetric_px=5, dropout=0.1),
        Bottleneck(128, dilation=4, dropout=0.1),
        Bottleneck(128, dropout=0.1),
        Bottleneck(128, dilation=8, dropout=0.1),
        Bottleneck(128, asymmetric_px=5, dropout=0.1),
        Bottleneck(128, dilation=16, dropout=0.1),
    )


class ENetDecoder(nn.Module):
    """Stages 4 and 5: 16 maps of half the image's size."""

    def __init__(self) -> None:
        super().__init__()
        self.up4 = UpBottleneck(128, 64)
        self.stage4 = nn.Sequential(*(Bottleneck(64, dropout=0.0, relu=True) for _ in range(2)))
        self.up5 = UpBottleneck(64, 16)
        self.stage5 = Bottleneck(16, dropout=0.0, relu=True)

    def forward(self, features: Tensor, indices: list[PoolingIndices]) -> Tensor:
        """Features (N, 128, h, w) and the encoder's indices -> (N, 16, ceil(H / 2), ceil(W / 2))."""
        first, second = indices
        features = self.stage4(self.up4(features, second))
        result: Tensor = self.stage5(self.up5(features, first))
        return result


class ENet(nn.Module):
    """ENet.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "mean_std") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = ENetEncoder(in_channels)
        self.decoder = ENetDecoder()
        self.classifier = nn.ConvTranspose2d(16, num_classes, 2, stride=2)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, indices = self.encoder(self.normalisation(image))
        return crop(self.classifier(self.decoder(features, indices)), image.shape[2:])
