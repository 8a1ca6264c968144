"""FCN-32s, -16s and -8s: VGG16 made fully convolutional, its class scores upsampled to the image's size.

    image -> normalisation -> encoder -> fc (7x7 4096, 1x1 4096) -> classifier -> scores at 1/32, upsampled
                                |  pool 4 -> score_pool4 -> added at 1/16 (-16s, -8s)
                                |  pool 3 -> score_pool3 -> added at 1/8  (-8s)

Source:
    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015, section 4.
    SegNet, section 4, for BN and dropout: its benchmark puts BN after each convolution of all models, and dropout 0.5
    at the end of the deep layers.

Deviates:
    Every convolution keeps the size ("same" padding) and maps are cropped at the right and the bottom; the original
    pads the image by 100 pixels and crops in the middle. Any size works, and the border needs no special case.
    Convolutions before BN have no bias. The original has no BN.

Chosen:
    The scores of pools 4 and 3 start at zero, so that all three models start as FCN-32s (the original trains them one
    after the other, with the new layer at zero).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from segnet.models.skip_encoder import SkipEncoder
from segnet.models.upsampling import crop, init_bilinear, learnt_upsampling, upsample_bilinear
from segnet.models.vgg import VGG16_STAGES, PoolingEncoder
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation

_NO_DROPOUT = (0.0, 0.0, 0.0, 0.0, 0.0)


class FullyConvolutional(nn.Sequential):
    """VGG16's fully connected fc6 and fc7 as convolutions: (N, 512, h, w) -> (N, fc_channels, h, w)."""

    def __init__(self, fc_channels: int) -> None:
        super().__init__()
        self.fc6 = ConvBN(512, fc_channels, 7)
        self.dropout6 = nn.Dropout(0.5)
        self.fc7 = ConvBN(fc_channels, fc_channels, 1)
        self.dropout7 = nn.Dropout(0.5)


def _score(channels: int, num_classes: int) -> nn.Conv2d:
    """A 1x1 convolution for the class scores of a pooled map, initialised with zeros."""
    score = nn.Conv2d(channels, num_classes, 1)
    nn.init.zeros_(score.weight)
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]
    return score


class FCN32s(nn.Module):
    """FCN-32s: scores at 1/32 of the size, upsampled in one step by fixed bilinear interpolation.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input; `caffe_bgr` is what the Oxford VGG16 weights were trained with.
        fc_channels: units of fc6 and fc7.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        fc_channels: int = 4096,
    ) -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, VGG16_STAGES, 3, _NO_DROPOUT)
        self.fc = FullyConvolutional(fc_channels)
        self.classifier = nn.Conv2d(fc_channels, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, _ = self.encoder(self.normalisation(image))
        score = self.classifier(self.fc(features))  # (N, K, ceil(H / 32), ceil(W / 32))
        return crop(upsample_bilinear(score, 32), image.shape[2:])


class FCN16s(nn.Module):
    """FCN-16s: FCN-32s's scores, upsampled twice, plus those of pool 4; then 16 times. All bilinear and fixed.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
        fc_channels: units of fc6 and fc7.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        fc_channels: int = 4096,
    ) -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = SkipEncoder(in_channels, VGG16_STAGES, 3, _NO_DROPOUT, kept=(4,))
        self.fc = FullyConvolutional(fc_channels)
        self.classifier = nn.Conv2d(fc_channels, num_classes, 1)
        init_he(self)
        self.score_pool4 = _score(512, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, maps = self.encoder(self.normalisation(image))
        score = upsample_bilinear(self.classifier(self.fc(features)), 2)
        score = crop(score, maps[4].shape[2:]) + self.score_pool4(maps[4])
        return crop(upsample_bilinear(score, 16), image.shape[2:])


class FCN8s(nn.Module):
    """FCN-8s: FCN-16s's scores, upsampled twice, plus those of pool 3; then 8 times. The "FCN" of SegNet's Table 3.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
        fc_channels: units of fc6 and fc7.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        fc_channels: int = 4096,
    ) -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = SkipEncoder(in_channels, VGG16_STAGES, 3, _NO_DROPOUT, kept=(3, 4))
        self.fc = FullyConvolutional(fc_channels)
        self.classifier = nn.Conv2d(fc_channels, num_classes, 1)
        init_he(self)
        self.score_pool4 = _score(512, num_classes)
        self.score_pool3 = _score(256, num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, maps = self.encoder(self.normalisation(image))
        return self._enlarge(self.classifier(self.fc(features)), maps, image.shape[2:])

    def _enlarge(self, score: Tensor, maps: Mapping[int, Tensor], size: torch.Size) -> Tensor:
        score = crop(upsample_bilinear(score, 2), maps[4].shape[2:]) + self.score_pool4(maps[4])
        score = crop(upsample_bilinear(score, 2), maps[3].shape[2:]) + self.score_pool3(maps[3])
        return crop(upsample_bilinear(score, 8), size)


class FCN8sLearnt(FCN8s):
    """FCN-8s with three learnt upsamplings, initialised as bilinear: SegNet's "FCN (learnt deconv)".

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
        fc_channels: units of fc6 and fc7.

    Chosen:
        FCN-8s, and full filters (every output sees all K scores) of twice the stride: with K = 37 its convolutions
        take 539 MB, the figure of SegNet's Table 6. The last upsampling is learnt too (it is fixed in the original).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        fc_channels: int = 4096,
    ) -> None:
        super().__init__(num_classes, in_channels=in_channels, normalisation=normalisation, fc_channels=fc_channels)
        self.upsample_pool4 = learnt_upsampling(num_classes, factor=2, kernel_px=4)
        self.upsample_pool3 = learnt_upsampling(num_classes, factor=2, kernel_px=4)
        self.upsample_image = learnt_upsampling(num_classes, factor=8, kernel_px=16)
        init_bilinear(self)

    def _enlarge(self, score: Tensor, maps: Mapping[int, Tensor], size: torch.Size) -> Tensor:
        score = crop(self.upsample_pool4(score), maps[4].shape[2:]) + self.score_pool4(maps[4])
        score = crop(self.upsample_pool3(score), maps[3].shape[2:]) + self.score_pool3(maps[3])
        return crop(self.upsample_image(score), size)
