"""Joint transforms: one random draw applied to image and labels; and the one way from uint8 to float."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segnet.data.sample import Sample
from segnet.errors import ConfigError
from segnet.labels import VOID


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training sample. The default is nothing, as in the paper.

    Args:
        flip: mirror left and right, half of the time.
        scale: factors between which an image is resized (log-uniform).
        crop_px: (height, width) of the piece that is cut out; where the resized image is smaller it is padded with
            grey and void. None keeps the whole image; `scale` must then be (1, 1).
        brightness: the image is multiplied by 1 +- this.
        contrast: differences from the image's mean are multiplied by 1 +- this.
        saturation: differences from each pixel's grey value are multiplied by 1 +- this.
        tint: red, green and blue are multiplied by 1 +- this each, as another white balance or another sky would.

    Raises:
        ConfigError: values that cannot be used.
    """

    flip: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    crop_px: tuple[int, int] | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    tint: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(f"augment.scale: expected 0 < low <= high, got {self.scale}")
        if self.crop_px is None and self.scale != (1.0, 1.0):
            raise ConfigError("augment.scale changes sizes, so augment.crop_px must say the size of a training image")
        if self.crop_px is not None and min(self.crop_px) < 1:
            raise ConfigError(f"augment.crop_px: expected (height, width) of at least 1, got {self.crop_px}")
        for name in ("brightness", "contrast", "saturation", "tint"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"augment.{name}: expected 0 <= value < 1, got {getattr(self, name)}")


def augment(sample: Sample, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
    """One random draw, applied to image and labels alike.

    Args:
        sample: (H, W, 3) and (H, W).
        augmentation: what may happen.
        rng: the only source of chance.

    Returns:
        A new sample; of size `crop_px` where that is set.
    """
    image, target = sample.image, sample.target
    if augmentation.crop_px is not None:
        image, target = _scale_and_crop(image, target, augmentation.crop_px, augmentation.scale, rng)
    if augmentation.flip and rng.random() < 0.5:
        image, target = image[:, ::-1], target[:, ::-1]
    if augmentation.brightness or augmentation.contrast or augmentation.saturation or augmentation.tint:
        image = _jitter(image, augmentation, rng)
    return Sample(np.ascontiguousarray(image), np.ascontiguousarray(target), sample.name)


def _scale_and_crop(
    image: np.ndarray,
    target: np.ndarray,
    crop_px: tuple[int, int],
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Resizes only the piece that is kept: one resampling, and no full-size copy."""
    height, width = image.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    box_height, box_width = min(crop_px[0] / factor, height), min(crop_px[1] / factor, width)
    top, left = rng.uniform(0, height - box_height), rng.uniform(0, width - box_width)
    box = (left, top, left + box_width, top + box_height)
    size = (  # Pillow's order is (width, height)
        max(min(round(box_width * factor), crop_px[1]), 1),
        max(min(round(box_height * factor), crop_px[0]), 1),
    )
    piece = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=box))
    labels = np.asarray(Image.fromarray(target).resize(size, Image.Resampling.NEAREST, box=box))
    if size == crop_px[::-1]:
        return piece, labels
    full_piece = np.full((*crop_px, 3), 128, np.uint8)
    full_labels = np.full(crop_px, VOID, np.uint8)
    row, column = rng.integers(0, crop_px[0] - size[1] + 1), rng.integers(0, crop_px[1] - size[0] + 1)
    full_piece[row : row + size[1], column : column + size[0]] = piece
    full_labels[row : row + size[1], column : column + size[0]] = labels
    return full_piece, full_labels


def _jitter(image: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    def factor(spread: float) -> np.float32:
        return np.float32(1 + rng.uniform(-spread, spread))

    result = image.astype(np.float32) * factor(augmentation.brightness)
    mean = result.mean(dtype=np.float32)
    result = (result - mean) * factor(augmentation.contrast) + mean
    grey = (result @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    result = (result - grey) * factor(augmentation.saturation) + grey
    if augmentation.tint:
        result = result * np.array([factor(augmentation.tint) for _ in range(3)])
    jittered: np.ndarray = np.rint(result).clip(0, 255).astype(np.uint8)
    return jittered


def image_to_tensor(image: np.ndarray) -> Tensor:
    """RGB uint8 (H, W, 3) -> float32 (3, H, W) in [0, 1]: the only place where images become float."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255.0


def target_to_tensor(target: np.ndarray) -> Tensor:
    """uint8 (H, W) -> int64 (H, W); `VOID` stays."""
    return torch.from_numpy(np.array(target)).long()
