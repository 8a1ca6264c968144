"""U-Net: the decoder concatenates the encoder's full maps, where SegNet passes 2 bits per window.

    image -> normalisation -> encoder -> features -> decoder (with the encoder's map of each stage) -> classifier

Source:
    Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015, section 2.

Deviates:
    Convolutions keep the size ("same" padding); the original's are not padded, so its output is smaller than its
    image. Pooling rounds up and the decoder crops, so any size works.
    BN after each 3x3 convolution, instead of its bias: SegNet's benchmark puts BN into all models.
    RGB by default instead of one grey channel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segnet.models.upsampling import crop
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.pooling import max_pool

UNET_STAGES = (64, 128, 256, 512)
UNET_BOTTOM = 1024


def _two_convolutions(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(ConvBN(in_channels, out_channels), ConvBN(out_channels, out_channels))


class ContractingPath(nn.Module):
    """Four stages of two convolutions and a 2x2 max pooling, and two convolutions at the bottom.

    Args:
        in_channels: C of the image.

    Chosen:
        Dropout 0.5 after the last pooling and after the bottom, for "drop-out layers at the end of the contracting
        path".
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        for number, width in enumerate(UNET_STAGES, start=1):
            self.add_module(f"stage{number}", _two_convolutions(in_channels, width))
            in_channels = width
        self.dropout4 = nn.Dropout(0.5)
        self.stage5 = _two_convolutions(in_channels, UNET_BOTTOM)
        self.dropout5 = nn.Dropout(0.5)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Encodes an image.

        Args:
            image: (N, C, H, W), normalised.

        Returns:
            Features (N, 1024, h, w) after four poolings (rounded up), and the map before each pooling, first to last.
        """
        features, maps = image, []
        for number in range(1, len(UNET_STAGES) + 1):
            features = self.get_submodule(f"stage{number}")(features)
            maps.append(features)
            features, _ = max_pool(features)
        bottom: Tensor = self.dropout5(self.stage5(self.dropout4(features)))
        return bottom, maps


class ExpansivePath(nn.Module):
    """Four stages: a 2x2 up-convolution to half the channels, concatenation of the encoder's map, two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        in_channels = UNET_BOTTOM
        for number, width in zip(range(len(UNET_STAGES), 0, -1), reversed(UNET_STAGES), strict=True):
            self.add_module(f"upsample{number}", nn.ConvTranspose2d(in_channels, width, 2, stride=2))
            self.add_module(f"stage{number}", _two_convolutions(2 * width, width))
            in_channels = width

    def forward(self, features: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Features (N, 1024, h, w) and the encoder's maps, first to last -> features (N, 64, H, W)."""
        for number in range(len(maps), 0, -1):
            kept = maps[number - 1]
            features = crop(self.get_submodule(f"upsample{number}")(features), kept.shape[2:])
            features = self.get_submodule(f"stage{number}")(torch.cat([kept, features], dim=1))
        return features


class UNet(nn.Module):
    """U-Net with its 23 convolutional layers.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "mean_std") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = ContractingPath(in_channels)
        self.decoder = ExpansivePath()
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, maps = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, maps))
        return logits
