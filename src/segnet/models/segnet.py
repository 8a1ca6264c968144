"""SegNet and SegNet-Basic, with their Bayesian forms.

    image -> normalisation -> encoder -> features + pooling indices -> decoder -> features -> classifier -> logits

Source:
    Badrinarayanan, Kendall, Cipolla: SegNet, PAMI 39(12), 2017: figure 2 (SegNet), section 3.1 (SegNet-Basic).
    Kendall, Badrinarayanan, Cipolla: Bayesian SegNet, 2015, for the positions of dropout.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, nn

from segnet.models.vgg import VGG16_STAGES, PoolingEncoder
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.pooling import PoolingIndices, max_unpool

# Decoder widths from the deepest stage to the first; the last convolution of stage 1 is the classifier.
SEGNET_DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))
BASIC_STAGES = ((64,), (64,), (64,), (64,))


class UnpoolingDecoder(nn.Module):
    """Stages that each unpool with the encoder's indices, then densify the sparse map by convolutions.

    Args:
        in_channels: C of the deepest features.
        stages: output channels of each convolution, from the deepest stage to the first.
        kernel_px: odd side of all filters.
        relu: whether a ReLU follows each BN.
        dropout: probability for each stage, same order, applied after its convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        stages: Sequence[Sequence[int]],
        kernel_px: int,
        dropout: Sequence[float],
        *,
        relu: bool,
    ) -> None:
        super().__init__()
        self.num_stages = len(stages)
        for number, widths, probability in zip(range(len(stages), 0, -1), stages, dropout, strict=True):
            convolutions = nn.Sequential()
            for width in widths:
                convolutions.append(ConvBN(in_channels, width, kernel_px, relu=relu))
                in_channels = width
            self.add_module(f"stage{number}", convolutions)
            self.add_module(f"dropout{number}", nn.Dropout(probability))

    def convolutions(self) -> Iterator[nn.Conv2d]:
        """Its convolutions, in the order of the forward pass."""
        for number in range(self.num_stages, 0, -1):
            for unit in self.get_submodule(f"stage{number}").children():
                if isinstance(unit, ConvBN):
                    yield unit.conv

    def forward(self, features: Tensor, indices: Sequence[PoolingIndices]) -> Tensor:
        """Upsamples features to the image's size.

        Args:
            features: (N, C, h, w), the encoder's last.
            indices: of each pooling, first to last.

        Returns:
            Features (N, C', H, W) at the size before the first pooling.
        """
        for number in range(self.num_stages, 0, -1):
            features = max_unpool(features, indices[number - 1])
            features = self.get_submodule(f"stage{number}")(features)
            features = self.get_submodule(f"dropout{number}")(features)
        return features


class SegNet(nn.Module):
    """SegNet: the 13 convolutions of VGG16, a mirrored decoder, and pooling indices between them.

    Every convolution is 3x3 with BN and ReLU, except the last, which has neither and outputs the logits.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input; `caffe_bgr` is what the Oxford VGG16 weights were trained with.

    Deviates:
        Convolutions before BN have no bias (the released prototxt has one; BN's shift makes it redundant).
    """

    decoder_stages: ClassVar[Sequence[Sequence[int]]] = SEGNET_DECODER

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        deep = (0.0, 0.0, dropout, dropout, dropout)
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, VGG16_STAGES, 3, deep)
        self.decoder = UnpoolingDecoder(512, self.decoder_stages, 3, deep[::-1], relu=True)
        self.classifier = nn.Conv2d(64, num_classes, 3, padding=1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, indices = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, indices))
        return logits


class SegNetBasic(nn.Module):
    """SegNet-Basic: four encoders and four decoders, all 7x7 with 64 channels, for controlled comparisons.

    No bias before BN, no ReLU in the decoder, a 1x1 classifier.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input; the paper uses local contrast (`lcn`), the released prototxt `lrn`.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn", dropout: float = 0.0
    ) -> None:
        super().__init__()
        deep = (0.0, 0.0, dropout, dropout)
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, BASIC_STAGES, 7, deep)
        self.decoder = UnpoolingDecoder(64, BASIC_STAGES, 7, deep[::-1], relu=False)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, indices = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, indices))
        return logits


class BayesianSegNet(SegNet):
    """SegNet with dropout 0.5 at the six central positions: after poolings 3-5 and after decoder stages 5-3.

    The parameters are SegNet's, name by name. Dropout is active in training; `inference.uncertainty` samples it at test
    time.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "caffe_bgr") -> None:
        super().__init__(num_classes, in_channels=in_channels, normalisation=normalisation, dropout=0.5)


class BayesianSegNetCamVid(BayesianSegNet):
    """Bayesian SegNet as the authors released it for CamVid: one more 3x3 convolution before the classifier.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Source:
        The authors' bayesian_segnet_camvid prototxt: `conv1_1_D` has 64 maps with BN and ReLU, and a convolution called
        `camvid` gives the classes.
    """

    decoder_stages = (*SEGNET_DECODER[:-1], (64, 64))


class BayesianSegNetBasic(SegNetBasic):
    """SegNet-Basic with dropout 0.5 at the four central positions: after poolings 3-4 and after decoder stages 4-3.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__(num_classes, in_channels=in_channels, normalisation=normalisation, dropout=0.5)
