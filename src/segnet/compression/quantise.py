"""Post-training quantisation to int8: NNCF measures the input range of every convolution on calibration images.

Only convolutions are quantised. Pooling by ranks compares a feature map with its own maxima, and different rounding on
the two sides of that comparison would lose the pooling indices; so everything else stays in floating point. If int8
costs more accuracy than allowed, the first convolution and the classifier, which are the most sensitive, stay in
floating point too. If that is not enough, nothing is written.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segnet.data.sample import Dataset, spread
from segnet.errors import DataError, WeightsError
from segnet.io.files import require_apart, sha256_of
from segnet.metrics.scores import Scores
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
    """Quantises weights to int8 and writes the result with its measured scores.

    Args:
        weights: name or path.
        calibration: dataset of calibration images; their labels are not used.
        scored: labelled dataset to score the float32 and the int8 model on.
        out: the file to write, `.safetensors`.
        num_images: number of calibration images, spread evenly over the dataset.
        num_scored: number of images to score on, spread in the same way; None uses all.
        max_loss_points: largest loss of mean IoU allowed, in percentage points.

    Returns:
        The card of the file.

    Raises:
        ConfigError: OpenVINO or NNCF is not installed, or `out` is the weights file itself.
        WeightsError: the data has other classes than the weights, int8 loses too much, or `out` has another suffix.
        DataError: a dataset is empty.
    """
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: a quantised model is written as .safetensors; give the file that suffix")
    path = find_weights(weights)
    require_apart([out], [path])
    model, card = load_weights(path)
    for dataset in (calibration, scored):
        if len(dataset) == 0:
            raise DataError("the calibration or scoring dataset has no images; give a folder with images")
        if dataset.label_set.names != card.label_set.names:
            raise WeightsError(
                f"the weights have the classes of {card.label_set.name}, the dataset those of "
                f"{dataset.label_set.name}; calibrate with a dataset of the classes that the model was trained on"
            )
    images = [_image(calibration, i) for i in spread(len(calibration), num_images)]
    chosen = spread(len(scored), num_scored or len(scored))
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
        f"{out} not written: mean IoU is {after['mean_iou']:.4f} in int8 and {before['mean_iou']:.4f} in float32, "
        f"a loss above the allowed {max_loss_points} points; use more calibration images, or raise --max-loss"
    )


def _quantised(model: Any, images: Sequence[Tensor], kept: tuple[str, ...]) -> Any:
    """Returns a copy of an OpenVINO model whose convolutions, except those in `kept`, are in int8."""
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
    results = ((dataset.names[i], classes(_image(dataset, i))[0].numpy(), dataset[i].target) for i in indices)
    summary = Scores.of(dataset.label_set, results, boundaries=False).summary()
    return {name: value for name, value in summary.items() if name != "boundary_f1"}  # not measured


def _image(dataset: Dataset, index: int) -> Tensor:
    """uint8 (1, 3, H, W)."""
    return torch.from_numpy(dataset[index].image.copy()).permute(2, 0, 1)[None].contiguous()
