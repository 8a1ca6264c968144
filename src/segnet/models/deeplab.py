"""DeepLab-LargeFOV: VGG16 down to 1/8 of the size, with dilated convolutions; scores are upsampled bilinearly.

    image -> normalisation -> encoder -> fc6 (3x3, rate 12) -> fc7 (1x1) -> classifier -> scores at 1/8 -> upsampled

Poolings 1 to 3 halve the map; poolings 4 and 5 keep its size, so the convolutions after pooling 4 have a dilation of 2
(rate 2) and fc6 one of 12, which keeps the receptive field. With the fully connected CRF on top:
`crf/dense_crf.py`.

Source:
    Chen, Papandreou, Kokkinos, Murphy, Yuille: Semantic image segmentation with deep convolutional models and fully
    connected CRFs, ICLR 2015, sections 3.1 and 4 (LargeFOV).
    SegNet, section 4, for BN and dropout: its benchmark puts BN after each convolution of all models, and dropout 0.5
    at the end of the deep layers.

Deviates:
    Convolutions before BN have no bias; the original has no BN.
    The parameters are 82.0 MB as float32 for 11 classes, where SegNet's table 6 prints 83 MB.

Chosen:
    SegNet's text has pooling 3 at stride 1 and an output of 45x60 for 360x480. 45x60 is 1/8, so three poolings halve
    the size and what has stride 1 are poolings 4 and 5, as in DeepLab. Halves are rounded up; Caffe's rule would give
    46x61.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models.vgg import VGG16_STAGES
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation

_STRIDES = (2, 2, 2, 1, 1)
_RATES = (1, 1, 1, 1, 2)


class DilatedConvBN(ConvBN):
    """Dilated 3x3 convolution without bias, then BN and ReLU; size is kept.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        rate: dilation, the distance in pixels between the taps of the filter; 1 is an ordinary convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, rate: int) -> None:
        super().__init__(in_channels, out_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate, bias=False)


class DilatedEncoder(nn.Module):
    """The 13 convolutions of VGG16 down to 1/8, the last three dilated; overlapping 3x3 max pooling.

    Args:
        in_channels: C of the image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        channels = in_channels
        for number, (widths, stride, rate) in enumerate(zip(VGG16_STAGES, _STRIDES, _RATES, strict=True), start=1):
            convolutions = nn.Sequential()
            for width in widths:
                convolutions.append(DilatedConvBN(channels, width, rate))
                channels = width
            self.add_module(f"stage{number}", convolutions)
            self.add_module(f"pool{number}", nn.MaxPool2d(3, stride, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Normalised (N, C, H, W) -> features (N, 512, ceil(H / 8), ceil(W / 8))."""
        features = image
        for number in range(1, len(VGG16_STAGES) + 1):
            features = self.get_submodule(f"stage{number}")(features)
            features = self.get_submodule(f"pool{number}")(features)
        return features


class DeepLabLargeFOV(nn.Module):
    """DeepLab-LargeFOV on VGG16: scores at 1/8 of the size, upsampled by fixed bilinear interpolation.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input; `caffe_bgr` is what the Oxford VGG16 weights were trained with.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "caffe_bgr") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = DilatedEncoder(in_channels)
        self.smooth = nn.AvgPool2d(3, 1, padding=1)  # the original's pool5a
        self.fc6 = DilatedConvBN(512, 1024, 12)
        self.dropout6 = nn.Dropout(0.5)
        self.fc7 = ConvBN(1024, 1024, 1)
        self.dropout7 = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(1024, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features = self.smooth(self.encoder(self.normalisation(image)))
        features = self.dropout6(self.fc6(features))
        features = self.dropout7(self.fc7(features))
        return enlarge_8(self.classifier(features), (image.shape[2], image.shape[3]))


def enlarge_8(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear interpolation by 8 that aligns each score with its pixel.

    A 3x3 pooling of stride 2 with a padding of 1 covers pixels 2i - 1 to 2i + 1, so after three of them score i belongs
    to pixel 8i. Up to 7 pixels after the last score repeat it.

    Args:
        scores: (N, K, h, w).
        size: (H, W) of the image; h = ceil(H / 8) and w = ceil(W / 8).

    Returns:
        (N, K, H, W); pixel 8i of it is score i.
    """
    scores = torch.cat([scores, scores[:, :, -1:]], dim=2)
    scores = torch.cat([scores, scores[:, :, :, -1:]], dim=3)  # (N, K, h + 1, w + 1)
    whole = (8 * scores.shape[2] - 7, 8 * scores.shape[3] - 7)
    enlarged = F.interpolate(scores, whole, mode="bilinear", align_corners=True)
    return enlarged[:, :, : size[0], : size[1]]
