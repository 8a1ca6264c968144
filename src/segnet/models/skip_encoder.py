"""The encoder of models that add encoder maps in the decoder: it returns pooled maps where SegNet's returns
indices.

Source:
    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015, section 4.2 (skips).
    SegNet, figure 3: an "encoder feature map" is the output of the max pooling.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from segnet.models.vgg import PoolingEncoder
from segnet.pooling import max_pool


class SkipEncoder(PoolingEncoder):
    """A `PoolingEncoder`, parameter by parameter, that returns some pooled maps and no indices.

    Args:
        in_channels: C of the image.
        stages: output channels of each convolution, stage by stage.
        kernel_px: odd side of all filters.
        dropout: probability for each stage, applied to the pooled values.
        kept: numbers of the stages whose pooled map is returned; the first is 1.
        reduced_to: channels to which a 1x1 convolution without bias reduces each kept map; None keeps all.
    """

    def __init__(
        self,
        in_channels: int,
        stages: Sequence[Sequence[int]],
        kernel_px: int,
        dropout: Sequence[float],
        *,
        kept: Sequence[int],
        reduced_to: int | None = None,
    ) -> None:
        super().__init__(in_channels, stages, kernel_px, dropout)
        self.kept = tuple(kept)
        for number in kept:
            width = stages[number - 1][-1]
            reduce = nn.Identity() if reduced_to is None else nn.Conv2d(width, reduced_to, 1, bias=False)
            self.add_module(f"reduce{number}", reduce)

    def forward(self, image: Tensor) -> tuple[Tensor, dict[int, Tensor]]:  # type: ignore[override] # maps, not indices
        """Encodes an image.

        Args:
            image: (N, C, H, W), normalised.

        Returns:
            Features (N, C', h, w), halved (rounded up) once per stage, and the kept maps by the number of their stage:
            (N, C'', h, w) after that stage's pooling.
        """
        features, maps = image, {}
        for number in range(1, self.num_stages + 1):
            features, _ = max_pool(self.get_submodule(f"stage{number}")(features))
            features = self.get_submodule(f"dropout{number}")(features)
            if number in self.kept:
                maps[number] = self.get_submodule(f"reduce{number}")(features)
        return features, maps
