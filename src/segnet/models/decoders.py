"""The decoder variants of the paper's Table 1: one encoder, eight decoders.

All share SegNet-Basic's encoder: four stages of one 7x7 convolution to 64 channels, BN, ReLU and 2x2 max pooling. What
passes to the decoder besides the last map, and what the decoder learns:

    model                                     passes from each encoder      decoder
    Bilinear-Interpolation                    nothing                       fixed
    SegNet-Basic                              indices                       unpooling, 7x7 convolution 64 -> 64
    SegNet-Basic-EncoderAddition              indices and 64 maps           the same, plus the encoder's maps
    SegNet-Basic-SingleChannelDecoder         indices                       unpooling, 7x7 convolution per channel
    FCN-Basic                                 K maps                        8x8 deconvolution K -> K, plus the maps
    FCN-Basic-NoAddition                      nothing                       8x8 deconvolution K -> K
    FCN-Basic-NoDimReduction                  64 maps                       8x8 deconvolution 64 -> 64, plus the maps
    FCN-Basic-NoAddition-NoDimReduction       nothing                       8x8 deconvolution 64 -> 64

SegNet-Basic itself is in `segnet.py`.

Source:
    SegNet, section 3.1, figure 3 and Table 1.

Chosen:
    Where the paper says nothing, the choice that gives or comes closest to its parameter counts: the two
    NoDimReduction models have 1.66 million, not its 1.625, which no layout that its text allows gives.
    Deconvolutions are full (every output sees
    all input maps), of stride 2, without bias, and start as bilinear interpolation in their 8x8 filter. BN follows
    each, and no ReLU, as in SegNet-Basic's decoder: without BN these models diverge at the paper's learning rate of
    0.1. Maps that are added are those after pooling: figure 3 defines them so, and their sizes give Table 1's storage.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from segnet.models.segnet import BASIC_STAGES, SegNetBasic, UnpoolingDecoder
from segnet.models.skip_encoder import SkipEncoder
from segnet.models.upsampling import crop, init_bilinear, learnt_upsampling, upsample_bilinear
from segnet.models.vgg import PoolingEncoder
from segnet.nn.layers import ConvBN, init_he
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.pooling import PoolingIndices, max_pool, max_unpool

_NO_DROPOUT = (0.0, 0.0, 0.0, 0.0)


class BilinearInterpolation(nn.Module):
    """The lower bound: class scores of the last encoder map, upsampled 16 times by fixed weights.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Chosen:
        The 1x1 classifier comes before the interpolation: the two commute exactly, and K maps are cheaper to upsample
        than 64. One step of 16, since nothing is learnt or added between four steps of 2.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, _ = self.encoder(self.normalisation(image))
        return crop(upsample_bilinear(self.classifier(features), 16), image.shape[2:])


# ------------------------------------------------------------------------------------------------ SegNet-Basic


class AdditionEncoder(PoolingEncoder):
    """SegNet-Basic's encoder, which returns the indices and the pooled maps of every stage but the last."""

    def forward(  # type: ignore[override] # maps in addition to the indices
        self, image: Tensor
    ) -> tuple[Tensor, list[PoolingIndices], dict[int, Tensor]]:
        """Normalised image (N, C, H, W) -> features (N, 64, h, w), indices in order, maps by number of their stage."""
        features, kept, maps = image, [], {}
        for number in range(1, self.num_stages + 1):
            features, indices = max_pool(self.get_submodule(f"stage{number}")(features))
            features = self.get_submodule(f"dropout{number}")(features)
            kept.append(indices)
            if number < self.num_stages:
                maps[number] = features
        return features, kept, maps


class AdditionDecoder(UnpoolingDecoder):
    """SegNet-Basic's decoder; the output of stage l + 1 and the pooled map of encoder l, of one size, are added."""

    def forward(  # type: ignore[override] # maps in addition to the indices
        self, features: Tensor, indices: list[PoolingIndices], maps: Mapping[int, Tensor]
    ) -> Tensor:
        """Features (N, 64, h, w), indices first to last, maps by number of their stage -> (N, 64, H, W)."""
        for number in range(self.num_stages, 0, -1):
            features = max_unpool(features, indices[number - 1])
            features = self.get_submodule(f"stage{number}")(features)
            features = self.get_submodule(f"dropout{number}")(features)
            if number > 1:
                features = features + maps[number - 1]
        return features


class SegNetBasicEncoderAddition(nn.Module):
    """SegNet-Basic whose decoders also get the 64 encoder maps, by addition. Its parameters have the same names.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Chosen:
        The sum is taken after BN, of maps of equal size: decoder 4 + pool 3, 3 + 2, 2 + 1. The image-sized decoder 1
        gets none: only then does the first layer store Table 1's 64 maps of 180x240.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = AdditionEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT)
        self.decoder = AdditionDecoder(64, BASIC_STAGES, 7, _NO_DROPOUT, relu=False)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, indices, maps = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, indices, maps))
        return logits


class SegNetBasicSingleChannelDecoder(SegNetBasic):
    """SegNet-Basic whose decoder filters have one channel each: every map is densified separately.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__(num_classes, in_channels=in_channels, normalisation=normalisation)
        for module in self.decoder.modules():
            if isinstance(module, ConvBN):
                module.conv = nn.Conv2d(64, 64, 7, padding=3, groups=64, bias=False)
        init_he(self)


# ------------------------------------------------------------------------------------------------ FCN-Basic


class DeconvolutionDecoder(nn.Module):
    """Four deconvolutions with BN that double the size; a map of that size from the encoder, if there is one, is added.

    Args:
        channels: of every map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        for number in (4, 3, 2, 1):
            self.add_module(f"upsample{number}", learnt_upsampling(channels, factor=2, kernel_px=8))
            self.add_module(f"norm{number}", nn.BatchNorm2d(channels))

    def forward(self, features: Tensor, maps: Mapping[int, Tensor], size: tuple[int, int]) -> Tensor:
        """Upsamples features to the image's size.

        Args:
            features: (N, C, h, w), after four poolings.
            maps: (N, C, h', w') by number of their encoder stage; empty for no addition.
            size: (H, W) of the image.

        Returns:
            (N, C, H, W).
        """
        for number in (4, 3, 2, 1):
            scale = 2 ** (number - 1)
            # rounds up without negative numbers, because ONNX divides integers towards zero
            expected = ((size[0] + scale - 1) // scale, (size[1] + scale - 1) // scale)
            features = crop(self.get_submodule(f"upsample{number}")(features), expected)
            features = self.get_submodule(f"norm{number}")(features)
            if number - 1 in maps:
                features = features + maps[number - 1]
        return features


class FCNBasic(nn.Module):
    """FCN's decoder on SegNet-Basic's encoder: maps are reduced to K channels, upsampled and added.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Chosen:
        The classifier is the reduction of the last map, so the decoder upsamples and adds class scores. BN
        after the last deconvolution makes a bias of the classifier redundant.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = SkipEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT, kept=(1, 2, 3), reduced_to=num_classes)
        self.classifier = nn.Conv2d(64, num_classes, 1, bias=False)
        self.decoder = DeconvolutionDecoder(num_classes)
        init_he(self)
        init_bilinear(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, maps = self.encoder(self.normalisation(image))
        logits: Tensor = self.decoder(self.classifier(features), maps, image.shape[2:])
        return logits


class FCNBasicNoAddition(nn.Module):
    """FCN-Basic that only learns to upsample: no encoder map is added.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT)
        self.classifier = nn.Conv2d(64, num_classes, 1, bias=False)
        self.decoder = DeconvolutionDecoder(num_classes)
        init_he(self)
        init_bilinear(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, _ = self.encoder(self.normalisation(image))
        logits: Tensor = self.decoder(self.classifier(features), {}, image.shape[2:])
        return logits


class FCNBasicNoDimReduction(nn.Module):
    """FCN-Basic with all 64 encoder maps: upsampled, added, and classified at the image's size.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Chosen:
        The model ends with SegNet-Basic's 1x1 classifier.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = SkipEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT, kept=(1, 2, 3))
        self.decoder = DeconvolutionDecoder(64)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)
        init_bilinear(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, maps = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, maps, image.shape[2:]))
        return logits


class FCNBasicNoAdditionNoDimReduction(nn.Module):
    """FCN-Basic that upsamples the 64 maps of the last encoder, adds nothing, and classifies at the image's size.

    Args:
        num_classes: K.
        in_channels: C of the image.
        normalisation: of the input.

    Chosen:
        The model ends with SegNet-Basic's 1x1 classifier.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = PoolingEncoder(in_channels, BASIC_STAGES, 7, _NO_DROPOUT)
        self.decoder = DeconvolutionDecoder(64)
        self.classifier = nn.Conv2d(64, num_classes, 1)
        init_he(self)
        init_bilinear(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits (N, K, H, W)."""
        features, _ = self.encoder(self.normalisation(image))
        logits: Tensor = self.classifier(self.decoder(features, {}, image.shape[2:]))
        return logits
