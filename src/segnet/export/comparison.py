"""An export runs on images and must say what PyTorch says."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow

from segnet.data.reading.images import read_image
from segnet.data.street.scenes import Street
from segnet.data.transforms import image_to_tensor
from segnet.errors import ExportError
from segnet.export.record import Difference, Image, Request, Run

# A runtime adds up in another order, so logits differ in their last digits; where two values of a pooling window are
# that near to each other, another one wins and a few logits differ by more. Hence no limit on the largest difference.
MEAN_LIMIT = 1e-3
CLASSES_LIMIT = 1e-3
# Int8 is judged on labelled images, when a model is quantised; here a file that is not the model at all must not pass.
INT8_MEAN_LIMIT = 0.2
INT8_CLASSES_LIMIT = 0.2
DYNAMIC_SIZES_PX = ((75, 101), (96, 128))


def example_images(size_px: tuple[int, int] | None, image: Path | None = None) -> dict[str, Image]:
    """The images an export is tried on: noise, and a street scene.

    Args:
        size_px: (height, width) of each; None takes two sizes, one of them odd.
        image: taken instead of the drawn scene; brought to the size, if there is one.

    Returns:
        RGB float32 (1, 3, H, W) in [0, 1], contiguous, by name.

    Raises:
        DataError: the image is missing or broken.
    """
    noise_px, scene_px = (size_px, size_px) if size_px else DYNAMIC_SIZES_PX
    noise = np.random.default_rng(0).random((1, 3, *noise_px), np.float32)
    if image is None:
        drawn = Street(1, (max(scene_px[0], 16), max(scene_px[1], 16)))[0].image[: scene_px[0], : scene_px[1]]
        name = f"drawn street {scene_px[0]}x{scene_px[1]}"
    else:
        drawn = read_image(image)
        if size_px:
            fitted = Pillow.fromarray(drawn).resize((size_px[1], size_px[0]), Pillow.Resampling.BILINEAR)
            drawn = np.asarray(fitted)
        name = f"{image.name} {drawn.shape[0]}x{drawn.shape[1]}"
    scene = np.ascontiguousarray(image_to_tensor(drawn)[None].numpy())  # some runtimes do not look at strides
    return {f"noise {noise_px[0]}x{noise_px[1]}": noise, name: scene}


def compare(request: Request, run: Run, images: dict[str, Image]) -> tuple[Difference, ...]:
    """Runs an export and PyTorch's model on the same images.

    Args:
        request: what was exported.
        run: the export in its runtime.
        images: RGB float32 (1, 3, H, W) in [0, 1], by name.

    Raises:
        ExportError: an answer of another shape, a mean difference of logits above 0.1 % of their mean size, or another
            class at more than 0.1 % of an image's pixels; 20 % both for a quantised model.
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
            raise ExportError(f"{name}: expected an answer of {expected}, got {answer.shape}; not exported")
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
            f"{difference.image}: logits differ from PyTorch's by {difference.mean_logit:.2g} in the mean, allowed "
            f"is {mean_limit:g} of their mean size {difference.mean_size:.2g}; not exported"
        )
    if not difference.classes_changed <= classes_limit:
        raise ExportError(
            f"{difference.image}: {difference.classes_changed:.2%} of the pixels have another class than PyTorch "
            f"says, allowed is {classes_limit:.1%}; not exported"
        )
