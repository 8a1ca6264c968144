"""Comparison of an exported model with PyTorch on the same images."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow

from segnet.data.reading.images import read_image
from segnet.data.street.scenes import Street
from segnet.data.transforms import image_to_tensor
from segnet.errors import ExportError
from segnet.export.record import Difference, Image, Request, Run

# Runtimes sum in another order, so logits differ in their last digits. Where two values of a pooling window are that
# close, the other one becomes the maximum and a few logits differ by more: so the largest difference has no limit.
MEAN_LIMIT = 1e-3
CLASSES_LIMIT = 1e-3
# The accuracy of int8 is measured on labelled images by `segnet quantise`; these limits only catch a wrong model.
INT8_MEAN_LIMIT = 0.2
INT8_CLASSES_LIMIT = 0.2
DYNAMIC_SIZES_PX = ((75, 101), (96, 128))


def example_images(
    size_px: tuple[int, int] | None, image: Path | None = None, in_channels: int = 3
) -> dict[str, Image]:
    """Returns the images to compare on: noise and a street scene.

    Args:
        size_px: (height, width) of each image; None uses two sizes, one of them odd.
        image: used instead of the drawn scene; resized to `size_px`, if given.
        in_channels: C; other than three repeat the channels of the RGB image, which suffices for a comparison.

    Returns:
        float32 (1, C, H, W) in [0, 1], contiguous, by name.

    Raises:
        DataError: the image is missing or broken.
    """
    noise_px, scene_px = (size_px, size_px) if size_px else DYNAMIC_SIZES_PX
    noise = np.random.default_rng(0).random((1, in_channels, *noise_px), np.float32)
    if image is None:
        drawn = Street(1, (max(scene_px[0], 16), max(scene_px[1], 16)))[0].image[: scene_px[0], : scene_px[1]]
        name = f"drawn street {scene_px[0]}x{scene_px[1]}"
    else:
        drawn = read_image(image)
        if size_px:
            fitted = Pillow.fromarray(drawn).resize((size_px[1], size_px[0]), Pillow.Resampling.BILINEAR)
            drawn = np.asarray(fitted)
        name = f"{image.name} {drawn.shape[0]}x{drawn.shape[1]}"
    drawn = drawn[..., np.arange(in_channels) % 3]
    scene = np.ascontiguousarray(image_to_tensor(drawn)[None].numpy())  # some runtimes ignore strides
    return {f"noise {noise_px[0]}x{noise_px[1]}": noise, name: scene}


def compare(request: Request, run: Run, images: dict[str, Image]) -> tuple[Difference, ...]:
    """Runs an export and PyTorch's model on the same images.

    Args:
        request: what was exported, with PyTorch's model.
        run: runs the exported file in its runtime.
        images: float32 (1, C, H, W) in [0, 1], by name.

    Raises:
        ExportError: the output has another shape, the mean difference of the logits exceeds 0.1 % of their mean
            magnitude, or the class differs at more than 0.1 % of the pixels; 20 % each for a quantised model.
    """
    floating = request.quantised is None
    limits = (MEAN_LIMIT, CLASSES_LIMIT) if floating else (INT8_MEAN_LIMIT, INT8_CLASSES_LIMIT)
    found = []
    for name, image in images.items():
        with torch.inference_mode():
            logits = request.model(torch.from_numpy(image)).numpy()  # (1, K, H, W)
        classes = logits.argmax(1)
        answer = run(image)
        expected = logits.shape if request.answer == "logits" else classes.shape
        if answer.shape != expected:
            raise ExportError(f"{name}: expected an output of shape {expected}, got {answer.shape}; not exported")
        size = float(np.abs(logits).mean())
        if request.answer == "logits":
            away = np.abs(answer - logits)
            largest, mean, changed = float(away.max()), float(away.mean()), answer.argmax(1) != classes
        else:
            largest, mean, changed = None, None, answer != classes
        difference = Difference(name, largest, mean, size, float(changed.mean()))
        _require_equal(difference, *limits)
        found.append(difference)
    return tuple(found)


def _require_equal(difference: Difference, mean_limit: float, classes_limit: float) -> None:
    if difference.mean_logit is not None and not difference.mean_logit <= mean_limit * difference.mean_size:
        raise ExportError(
            f"{difference.image}: logits differ from PyTorch's by {difference.mean_logit:.2g} on average, expected at "
            f"most {mean_limit:g} of their mean magnitude {difference.mean_size:.2g}; not exported"
        )
    if not difference.classes_changed <= classes_limit:
        raise ExportError(
            f"{difference.image}: {difference.classes_changed:.2%} of the pixels have another class than in PyTorch, "
            f"expected at most {classes_limit:.1%}; not exported"
        )
