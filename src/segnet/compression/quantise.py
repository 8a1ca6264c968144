"""Int8 by post-training quantisation: NNCF finds the ranges of every convolution's input on a few images.

Only convolutions are quantised. Pooling by ranks compares a map with its own maxima: with another rounding on either
side of the comparison the places are lost, so everything else stays in floating point. When the whole model in int8
loses more than is allowed, the first convolution and the classifier, which see the image and give the classes, stay
in floating point too; when that is not enough, nothing is written.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segnet.data.sample import Dataset
from segnet.errors import DataError, WeightsError
from segnet.io.files import require_apart, sha256_of
from segnet.metrics import confusion
from segnet.runtime.backend import require
from segnet.runtime.eager import EagerBackend
from segnet.runtime.openvino import OpenVINOBackend, convert
from segnet.runtime.quantised import QuantisedCard, save_quantised
from segnet.weights.file import find_weights, load_weights

_CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData")


def quantise(
    weights: str | Path,
    calibration: Dataset,
    scored: Dataset,
    out: Path,
    *,
    num_images: int = 45,
    num_scored: int | None = None,
    max_loss_points: float = 0.5,
) -> QuantisedCard:
    """Quantises weights and keeps the result with its measured scores.

    Args:
        weights: name or path.
        calibration: images the ranges are found on; their labels are not used.
        scored: labelled images that before and after are scored on.
        out: the file to write, `.safetensors`.
        num_images: of the calibration, spread evenly over the dataset.
        num_scored: of the scores, likewise; None takes all.
        max_loss_points: of mean IoU, in percent, that int8 may cost.

    Returns:
        The card of the file.

    Raises:
        ConfigError: OpenVINO or NNCF is not installed, or `out` is the file of the weights.
        WeightsError: the data has other classes than the weights, int8 loses too much, or `out` has another suffix.
        DataError: no image.
    """
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: a quantised model is saved as .safetensors; give the file that suffix")
    path = find_weights(weights)
    require_apart([out], [path])
    model, card = load_weights(path)
    for dataset in (calibration, scored):
        if len(dataset) == 0:
            raise DataError("no image to calibrate on or to score; give a folder with images")
        if dataset.label_set.names != card.label_set.names:
            raise WeightsError(
                f"the weights know the classes of {card.label_set.name}, the images have those of "
                f"{dataset.label_set.name}; calibrate with images of the kind that the model was trained on"
            )
    images = [_image(calibration, i) for i in _spread(len(calibration), num_images)]
    chosen = _spread(len(scored), num_scored or len(scored))
    before = _scores(EagerBackend(model, torch.device("cpu"), "float32").classes, scored, chosen)
    floating = convert(model, "logits")
    names = [op.get_friendly_name() for op in floating.get_ordered_ops() if op.get_type_name() in _CONVOLUTIONS]
    made = QuantisedCard(card, sha256_of(path), len(images), scores_before=before, scored_images=len(chosen))
    for kept in ((), (names[0], names[-1])):
        quantised = _quantised(floating, images, kept)
        after = _scores(OpenVINOBackend(quantised, "int8").classes, scored, chosen)
        if 100 * (before["mean_iou"] - after["mean_iou"]) <= max_loss_points:
            made = replace(made, kept_float=kept, scores_after=after)
            save_quantised(out, quantised, made)
            return made
    raise WeightsError(
        f"{out} not written: int8 has mean IoU {after['mean_iou']:.4f}, float32 {before['mean_iou']:.4f}, and "
        f"{max_loss_points} points are allowed; calibrate with more images, or allow more"
    )


def _quantised(model: Any, images: Sequence[Tensor], kept: tuple[str, ...]) -> Any:
    """A copy of an OpenVINO model whose convolutions, but for `kept`, are in int8."""
    nncf = require("nncf", "openvino")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    others = {op.get_type_name() for op in model.get_ordered_ops()} - {
        *_CONVOLUTIONS,
        "Parameter",
        "Constant",
        "Result",
    }
    scope = nncf.IgnoredScope(names=list(kept), types=sorted(others), validate=False)
    data = nncf.Dataset([image.numpy() for image in images])
    return nncf.quantize(model.clone(), data, subset_size=len(images), ignored_scope=scope)


def _scores(classes: Callable[[Tensor], Tensor], dataset: Dataset, indices: Iterable[int]) -> dict[str, float]:
    num_classes = dataset.label_set.num_classes
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64, device="cpu")
    for i in indices:
        target = torch.from_numpy(dataset[i].target.copy())
        counts += confusion.confusion_counts(classes(_image(dataset, i))[0], target, num_classes)
    return {
        "global_accuracy": confusion.global_accuracy(counts),
        "class_average_accuracy": confusion.class_average_accuracy(counts),
        "mean_iou": confusion.mean_iou(counts)[0],
    }


def _image(dataset: Dataset, index: int) -> Tensor:
    """uint8 (1, 3, H, W)."""
    return torch.from_numpy(dataset[index].image.copy()).permute(2, 0, 1)[None].contiguous()


def _spread(total: int, expected: int) -> list[int]:
    """At most `expected` indices, evenly over `range(total)`."""
    count = min(total, expected)
    return [i * total // count for i in range(count)]
