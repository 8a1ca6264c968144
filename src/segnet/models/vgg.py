"""The 13 convolutions of VGG16: SegNet's encoder. Their ImageNet weights are read by `weights/vgg16.py`.

Source:
    Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, ICLR 2015, column D.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from segnet.nn.layers import ConvBN
from segnet.pooling import PoolingIndices, max_pool

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class PoolingEncoder(nn.Module):
    """Stages of convolutions, each followed by a 2x2 max pooling that also returns its indices.

    Args:
        in_channels: C of the image.
        stages: output channels of each convolution, stage by stage.
        kernel_px: odd side of all filters.
        dropout: probability for each stage, applied to the pooled values; the indices are untouched.
    """

    def __init__(
        self, in_channels: int, stages: Sequence[Sequence[int]], kernel_px: int, dropout: Sequence[float]
    ) -> None:
        super().__init__()
        for number, (widths, probability) in enumerate(zip(stages, dropout, strict=True), start=1):
            convolutions = nn.Sequential()
            for width in widths:
                convolutions.append(ConvBN(in_channels, width, kernel_px))
                in_channels = width
            self.add_module(f"stage{number}", convolutions)
            self.add_module(f"dropout{number}", nn.Dropout(probability))
        self.num_stages = len(stages)

    def forward(self, image: Tensor) -> tuple[Tensor, list[PoolingIndices]]:
        """Encodes an image.

        Args:
            image: (N, C, H, W), normalised.

        Returns:
            Features (N, C', h, w), halved (rounded up) once per stage, and the indices of each pooling, first to last.
        """
        features, kept = image, []
        for number in range(1, self.num_stages + 1):
            features, indices = max_pool(self.get_submodule(f"stage{number}")(features))
            # after pooling: dropped values change no index, so the decoder still knows where each maximum was
            features = self.get_submodule(f"dropout{number}")(features)
            kept.append(indices)
        return features, kept
