"""Random changes of light, blur and noise: they change an image and never its target."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnet.config.sections import Augmentation
from segnet.errors import DataError

Array = NDArray[Any]
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as Pillow's own grey
_SETTINGS = ("brightness", "contrast", "saturation", "tint", "gamma", "shadow", "blur_px", "noise")


def is_photometric(augmentation: Augmentation) -> bool:
    """Whether any setting changes values."""
    return any(getattr(augmentation, name) for name in _SETTINGS)


def change_light(image: Array, augmentation: Augmentation, rng: np.random.Generator, name: str = "image") -> Array:
    """Applies one random draw of all photometric settings.

    Args:
        image: (H, W, C) of uint8, uint16, or float32 in [0, 1].
        augmentation: its photometric settings.
        rng: the only source of randomness.
        name: of the image, for errors.

    Returns:
        Of the same type, within the same range.

    Raises:
        DataError: float values outside [0, 1].
    """
    is_float = image.dtype == np.float32
    full = 1.0 if is_float else float(np.iinfo(image.dtype).max)
    if is_float and (image.min() < 0 or image.max() > 1):
        used = ", ".join(setting for setting in _SETTINGS if getattr(augmentation, setting))
        raise DataError(
            f"'{name}': augment.{used}: expected values in [0, 1], got {image.min():g} to {image.max():g}; "
            "normalise inside the model instead of the dataset, or switch these settings off"
        )
    result = _colours(image.astype(np.float32), augmentation, rng)
    if augmentation.gamma:
        bound = np.log1p(augmentation.gamma)
        power = np.exp(rng.uniform(-bound, bound))
        result = (result.clip(0, full) / full) ** np.float32(power) * full
    if augmentation.shadow and rng.random() < 0.5:
        result = result * _shadow(image.shape[:2], augmentation.shadow, rng)[..., None]
    if augmentation.blur_px:
        from scipy.ndimage import gaussian_filter  # noqa: PLC0415 (slow to import, and few runs need it)

        sigma = rng.uniform(0, augmentation.blur_px)
        result = gaussian_filter(result, (sigma, sigma, 0))
    if augmentation.noise:
        sigma = rng.uniform(0, augmentation.noise) * full
        result = result + rng.normal(0, 1, result.shape).astype(np.float32) * np.float32(sigma)
    result = result.clip(0, full).astype(np.float32)
    return result if is_float else np.rint(result).astype(image.dtype)


def _colours(image: Array, augmentation: Augmentation, rng: np.random.Generator) -> Array:
    if not (augmentation.brightness or augmentation.contrast or augmentation.saturation or augmentation.tint):
        return image

    def factor(spread: float) -> np.float32:
        return np.float32(1 + rng.uniform(-spread, spread))

    num_channels = image.shape[2]
    result: Array = image * factor(augmentation.brightness)
    mean = result.mean(dtype=np.float32)
    result = (result - mean) * factor(augmentation.contrast) + mean
    weights = _LUMINANCE if num_channels == 3 else np.full(num_channels, 1 / num_channels, np.float32)
    grey = (result @ weights)[..., None]
    result = (result - grey) * factor(augmentation.saturation) + grey
    if augmentation.tint:
        result = result * np.array([factor(augmentation.tint) for _ in range(num_channels)])
    return result


def _shadow(size_px: tuple[int, int], strength: float, rng: np.random.Generator) -> Array:
    """Factors (H, W): less light on one side of a random line through the image."""
    height, width = size_px
    angle = rng.uniform(0, 2 * np.pi)
    through = rng.uniform(0, height), rng.uniform(0, width)
    rows, columns = np.ogrid[:height, :width]
    dark = (rows - through[0]) * np.sin(angle) + (columns - through[1]) * np.cos(angle) > 0
    return np.where(dark, np.float32(1 - rng.uniform(0, strength)), np.float32(1))
