"""DeconvNet: VGG16 with its fully connected layers, and a mirrored decoder that unpools with the indices.

    image -> normalisation -> encoder -> fc (7x7, 1x1, 7x7 back) -> decoder -> classifier -> logits

SegNet is this model without `fc`, which has most of the parameters.

Source:
    Noh, Hong, Han: Learning deconvolution network for semantic segmentation, ICCV 2015, section 3; widths and BN as in
    its authors' released prototxt. SegNet, section 4, for 1024 units in place of 4096 and dropout 0.5 in deep layers.

Deviates:
    The 7x7 layers are padded by 3 and keep the size, so any image size works. The original has no padding: its map of a
    224x224 image is 7x7, becomes 1x1 and 7x7 again. SegNet's benchmark seems to have done the same at 360x480, with
    filters as large as its 12x15 map: exactly those make the 877 MB of its Table 6.
    Deconvolutions of stride 1 are written as convolutions, which compute the same with flipped filters.
    Convolutions before BN have no bias.
"""

from torch import Tensor, nn

from segnet.models.segnet import UnpoolingDecoder
from segnet.models.vgg import VGG16_STAGES, PoolingEncoder
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation

# From the deepest stage to the first, all after unpooling.
DECONVNET_DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))
_NO_DROPOUT = (0.0, 0.0, 0.0, 0.0, 0.0)


class FullyConnected(nn.Sequential):
    """The bottom of the model, (N, 512, h, w) -> the same: fc6 and fc7 as convolutions, and a deconvolution back to 512
    channels.

    Args:
        fc_channels: units of fc6 and fc7.

    Chosen:
        Dropout after fc6 and fc7, as in VGG16.
    """

    def __init__(self, fc_channels: int) -> None:
        super().__init__()
        self.fc6 = ConvBN(512, fc_channels, 7)
        self.dropout6 = nn.Dropout(0.5)
        self.fc7 = ConvBN(fc_channels, fc_channels, 1)
        self.dropout7 = nn.Dropout(0.5)
        self.deconv_fc6 = ConvBN(fc_channels, 512, 7)


class DeconvNet(nn.Module):
    """DeconvNet with the 1024 units of SegNet's benchmark.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input; `caffe_bgr` is what the Oxford VGG16 weights were trained with.
        fc_channels: units of the fully connected layers; the original has 4096.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        normalisation: Normalisation = "caffe_bgr",
        fc_channels: int = 1024,
    ) -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, VGG16_STAGES, 3, _NO_DROPOUT)
        self.fc = FullyConnected(fc_channels)
        self.decoder = UnpoolingDecoder(512, DECONVNET_DECODER, 3, _NO_DROPOUT, relu=True)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, indices = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(self.fc(features), indices))
        return logits
