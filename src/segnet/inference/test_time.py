"""Test-time augmentation: the mean of the probabilities of an image, of its mirror image, and at several scales.

It costs one forward pass per scale, twice as many with the mirror image, and usually gains some tenths of a point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from segnet.errors import ConfigError


@dataclass(frozen=True)
class TestTimeAugmentation:
    """The views of an image that are predicted and averaged.

    Args:
        flip: also predict the image mirrored left and right.
        scales: factors of height and width; 1.0 is the image itself.

    Raises:
        ConfigError: no scale, or one that is not in 0.1..10.

    Example:
        >>> TestTimeAugmentation.parse("flip,0.75,1,1.25").scales
        (0.75, 1.0, 1.25)
    """

    __test__: ClassVar[bool] = False  # its name is no test's

    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.scales or not all(0.1 <= scale <= 10 for scale in self.scales):
            raise ConfigError(f"test-time augmentation: scales {self.scales}: expected factors of 0.1 to 10")

    @classmethod
    def parse(cls, text: str) -> "TestTimeAugmentation":
        """Reads `flip`, factors, or both, with commas between: `flip,0.75,1,1.25`. Without factors the scale is 1.

        Raises:
            ConfigError: another word, or a factor outside 0.1..10.
        """
        words = [word.strip() for word in text.split(",")]
        try:
            scales = tuple(float(word) for word in words if word != "flip")
        except ValueError:
            raise ConfigError(
                f"test-time augmentation '{text}': expected flip and factors, for example flip,0.75,1,1.25"
            ) from None
        return cls("flip" in words, scales or (1.0,))

    @property
    def num_views(self) -> int:
        """Forward passes for one image."""
        return len(self.scales) * (1 + self.flip)

    def probability(self, logits_of: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        """The mean of the softmax over all views, each transformed back to the image's size and orientation.

        Args:
            logits_of: images -> logits (N, K, h, w) at their size, on any device.
            image: (N, C, H, W), floating in [0, 1], or uint8.

        Returns:
            float32 (N, K, H, W), sum 1 over classes, on the device of the logits.
        """
        size = (image.shape[2], image.shape[3])
        total: Tensor | None = None
        for scale in self.scales:
            view = _scaled(image, scale)
            for mirrored in (False, True) if self.flip else (False,):
                logits = logits_of(view.flip(3) if mirrored else view).float()
                logits = logits.flip(3) if mirrored else logits
                if logits.shape[2:] != size:
                    logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
                probability = logits.softmax(1)
                total = probability if total is None else total.add_(probability)
        assert total is not None  # there is at least one scale
        return total / self.num_views


def as_augmentation(tta: "str | TestTimeAugmentation | None") -> TestTimeAugmentation | None:
    """The augmentation that a text describes; None and an empty text mean none. Errors as in `parse`."""
    if isinstance(tta, str):
        return TestTimeAugmentation.parse(tta) if tta else None
    return tta


def _scaled(image: Tensor, scale: float) -> Tensor:
    """The image resized by a factor; antialiased, as Pillow resizes training images."""
    size = [max(1, round(side * scale)) for side in image.shape[2:]]
    if tuple(size) == tuple(image.shape[2:]):
        return image
    floating = image.float() / 255 if image.dtype == torch.uint8 else image
    return F.interpolate(floating, size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)
