"""Joint transforms: one random draw applied to image and target; and the one way from stored values to float.

Geometry first (rotation, then scale and crop, then flips), photometric changes after it. Images are (H, W, C) of uint8,
uint16, or float32; photometric changes need float values in [0, 1].
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segnet.config.sections import Augmentation
from segnet.data.photometric import change_light, is_photometric
from segnet.data.sample import Sample
from segnet.errors import ShapeError
from segnet.labels import VOID

__all__ = ["Augmentation", "JointTransform", "augment", "image_to_tensor", "target_to_tensor"]

Array = NDArray[Any]
JointTransform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (image (C, H, W), target (H, W)) -> the same


def augment(sample: Sample, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
    """Applies one random draw to image and target alike.

    Args:
        sample: (H, W, C) and (H, W).
        augmentation: what may happen; mixing of two samples (`cutmix`, `classmix`) is `segnet.data.mixing`.
        rng: the only source of randomness.

    Returns:
        A new sample; of size `crop_px` where that is set.

    Raises:
        ShapeError: image and target differ in size.
        DataError: photometric changes of an image whose float values are not in [0, 1].
    """
    image, target = sample.image, sample.target
    if image.shape[:2] != target.shape:
        raise ShapeError(
            f"'{sample.name}': expected image and target of one size, got {image.shape[:2]} and {target.shape}"
        )
    # rotation before the crop: a rotated crop would have grey corners where the image has pixels
    if augmentation.rotate_degrees:
        image, target = _rotate(image, target, rng.uniform(-1, 1) * augmentation.rotate_degrees)
    if augmentation.crop_px is not None:
        image, target = _scale_and_crop(image, target, augmentation, augmentation.crop_px, rng)
    if augmentation.flip and rng.random() < 0.5:
        image, target = image[:, ::-1], target[:, ::-1]
    if augmentation.flip_vertical and rng.random() < 0.5:
        image, target = image[::-1], target[::-1]
    if is_photometric(augmentation):
        image = change_light(image, augmentation, rng, sample.name)
    return Sample(np.ascontiguousarray(image), np.ascontiguousarray(target), sample.name)


def _scale_and_crop(
    image: Array, target: Array, augmentation: Augmentation, crop_px: tuple[int, int], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Resizes only the crop that is kept: one resampling, and no full-size copy."""
    height, width = target.shape
    low, high = augmentation.scale
    factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))  # log-uniform: x0.5 is as likely as x2
    # an image smaller than the crop is used whole, and padded below
    box_height, box_width = min(crop_px[0] / factor, height), min(crop_px[1] / factor, width)
    top, left = rng.uniform(0, height - box_height), rng.uniform(0, width - box_width)
    if augmentation.rare_class_crop and rng.random() < augmentation.rare_class_crop:
        top, left = _around_a_rare_class(target, (top, left), (box_height, box_width), rng)
    box = (left, top, left + box_width, top + box_height)
    size = (  # Pillow's order is (width, height)
        max(min(round(box_width * factor), crop_px[1]), 1),
        max(min(round(box_height * factor), crop_px[0]), 1),
    )
    crop = _per_band(image, lambda band: band.resize(size, Image.Resampling.BILINEAR, box=box))
    # nearest pixel for labels: the average of two class ids would be the id of a third class
    labels = np.asarray(Image.fromarray(target).resize(size, Image.Resampling.NEAREST, box=box))
    if size == crop_px[::-1]:
        return crop, labels
    full_crop = np.full((*crop_px, image.shape[2]), _grey(image), image.dtype)
    full_labels = np.full(crop_px, VOID, target.dtype)
    # anywhere in the padding: always in one corner, the model could learn where images end
    row, column = rng.integers(0, crop_px[0] - size[1] + 1), rng.integers(0, crop_px[1] - size[0] + 1)
    full_crop[row : row + size[1], column : column + size[0]] = crop
    full_labels[row : row + size[1], column : column + size[0]] = labels
    return full_crop, full_labels


def _around_a_rare_class(
    target: Array, corner: tuple[float, float], box: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float]:
    """The corner of a box that contains a pixel of a class drawn evenly from those present.

    Drawn evenly over classes, not pixels: so a class with few pixels is in a crop as often as a large one.
    """
    classes = np.unique(target[target != VOID])
    if not classes.size:
        return corner
    rows, columns = np.nonzero(target == rng.choice(classes))
    chosen = rng.integers(len(rows))
    # the pixel is anywhere in the box, not always in its middle
    top, left = (
        float(np.clip(pixel + 0.5 - rng.uniform(0, length), 0, whole - length))
        for pixel, length, whole in zip((rows[chosen], columns[chosen]), box, target.shape, strict=True)
    )
    return top, left


def _rotate(image: Array, target: Array, degrees: float) -> tuple[Array, Array]:
    """About the centre, at the same size; the corners that come from outside are grey and `VOID`."""

    def turned(band: Image.Image) -> Image.Image:
        fill: Any = _grey(image)
        return band.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(fill,) * 3 if band.mode == "RGB" else fill)

    labels = np.asarray(Image.fromarray(target).rotate(degrees, Image.Resampling.NEAREST, fillcolor=VOID))
    return _per_band(image, turned), labels


def _per_band(image: Array, change: Callable[[Image.Image], Image.Image]) -> Array:
    """Applies a Pillow operation: to RGB uint8 at once, to anything else channel by channel in float32."""
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.asarray(change(Image.fromarray(np.ascontiguousarray(image))))
    # Pillow resamples several channels only as 8 bits; one channel may be float
    bands = [
        np.asarray(change(Image.fromarray(np.ascontiguousarray(band, np.float32)))) for band in image.transpose(2, 0, 1)
    ]
    changed = np.stack(bands, axis=2)
    return changed if image.dtype == np.float32 else np.rint(changed).astype(image.dtype)


def _grey(image: Array) -> Any:
    """The middle of the range of integers; of floats, which may have any range, the image's mean."""
    if image.dtype == np.float32:
        return float(image.mean())
    return (int(np.iinfo(image.dtype).max) + 1) // 2


def image_to_tensor(image: Array) -> Tensor:
    """Stored values (H, W, C) -> float32 (C, H, W): the only place where images become float.

    uint8 and uint16 are divided by their largest value, so are in [0, 1]; float32 stays as it is.
    """
    # a copy, since an array may be read-only or flipped (negative strides), which PyTorch does not take
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    if np.issubdtype(image.dtype, np.floating):
        return tensor
    return tensor / float(np.iinfo(image.dtype).max)


def target_to_tensor(target: Array) -> Tensor:
    """Class ids or `VOID`, (H, W) of any integer type -> int64 (H, W); `VOID` stays."""
    return torch.from_numpy(np.array(target).astype(np.int64))
