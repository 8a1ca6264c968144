"""Images for the report: which to show, how to draw them, and how to embed them in the HTML."""

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segnet import palette
from segnet.data.sample import Dataset, Image8
from segnet.errors import DataError, ShapeError
from segnet.labels import VOID, LabelSet
from segnet.metrics.scores import ImageScore, Scores

WRONG_COLOUR = (214, 39, 54)
_VOID_DARK, _VOID_LIGHT = 96, 128
_HATCH_PX = 6
_LARGEST_PX, _SMALLEST_PX = 800, 400


@dataclass(frozen=True)
class Panel:
    """One image of the report with its prediction.

    Attributes:
        name: of the image.
        image: RGB uint8 (H, W, 3).
        prediction: class ids, uint8 (H, W).
        target: class ids or `VOID`, uint8 (H, W); None for an image without labels.
        group: heading shared by consecutive panels of the same group, such as `Best`.
        score: of the image.

    Raises:
        ShapeError: image, prediction and target differ in size, or have other shapes.
    """

    name: str
    image: Image8
    prediction: Image8
    target: Image8 | None = None
    group: str = ""
    score: ImageScore | None = None

    def __post_init__(self) -> None:
        shapes = [self.prediction.shape] + ([] if self.target is None else [self.target.shape])
        if self.image.ndim != 3 or any(self.image.shape != (*shape, 3) for shape in shapes):
            raise ShapeError(
                f"panel '{self.name}': expected an image (H, W, 3) with target and prediction (H, W), got "
                f"{self.image.shape} with {', '.join(map(str, shapes))}"
            )


def best_and_worst(
    scores: Scores, dataset: Dataset, predict: Callable[[Image8], Image8], count: int = 3
) -> list[Panel]:
    """Returns the images with the highest and the lowest mean IoU, read and predicted again.

    Args:
        scores: of `dataset`; images without any labelled pixel are skipped.
        dataset: only the chosen images are read.
        predict: uint8 (H, W, C) -> class ids uint8 (H, W).
        count: at most this many of each; no image is shown twice.

    Returns:
        The best, best first, then the worst, worst first.

    Raises:
        DataError: the scores name an image that is not in the dataset, or an image cannot be read.
    """
    places = {name: i for i, name in enumerate(dataset.names)}
    ranked = sorted(
        (p for p in scores.images if not math.isnan(p.global_accuracy)), key=lambda p: (-p.mean_iou, p.name)
    )
    best = ranked[: min(count, -(-len(ranked) // 2))]
    worst = ranked[len(best) :][::-1][:count]
    panels = []
    for group, chosen in (("Best", best), ("Worst", worst)):
        for score in chosen:
            if score.name not in places:
                raise DataError(f"the scores name '{score.name}', which the dataset lacks; evaluate this dataset")
            sample = dataset[places[score.name]]
            shown = palette.displayed(sample.image)
            panels.append(Panel(score.name, shown, predict(sample.image), sample.target, group, score))
    return panels


def error_map(image: Image8, target: Image8, prediction: Image8) -> Image8:
    """Draws where the prediction is wrong.

    Args:
        image: RGB uint8 (H, W, 3).
        target: class ids or `VOID`, (H, W).
        prediction: class ids, (H, W).

    Returns:
        RGB uint8 (H, W, 3): labelled pixels of another class than predicted are `WRONG_COLOUR`, void is hatched in
        grey, and the rest is the image in pale grey.
    """
    grey = 160 + image.mean(axis=2, keepdims=True) * (95 / 255)
    errors: Image8 = np.repeat(grey.astype(np.uint8), 3, axis=2)
    errors[target != prediction] = WRONG_COLOUR
    return _hatch_void(errors, target)


def class_colours(class_ids: Image8, label_set: LabelSet) -> Image8:
    """Class ids in their colours, void hatched in grey: uint8 (H, W) -> RGB uint8 (H, W, 3).

    Raises:
        LabelError: ids that the label set does not have.
    """
    return _hatch_void(palette.to_rgb(class_ids, label_set), class_ids)


def views(panel: Panel, label_set: LabelSet) -> list[tuple[str, str]]:
    """The views of a panel: image, target, prediction, errors; without a target image, prediction, overlay.

    Large images are reduced to at most 800 pixels on the longer side; small ones are enlarged by an integer
    factor, to at most 400, so that a browser does not blur their classes.

    Returns:
        Pairs of caption and data URI.

    Raises:
        LabelError: ids that the label set does not have.
    """
    prediction = png_uri(class_colours(panel.prediction, label_set))
    image = jpeg_uri(panel.image)
    if panel.target is None:
        overlay = palette.overlay(panel.image, panel.prediction, label_set)
        return [("image", image), ("prediction", prediction), ("overlay", jpeg_uri(overlay))]
    return [
        ("image", image),
        ("target", png_uri(class_colours(panel.target, label_set))),
        ("prediction", prediction),
        ("errors", png_uri(error_map(panel.image, panel.target, panel.prediction), colours=128)),
    ]


def _hatch_void(rgb: Image8, target: Image8) -> Image8:
    """Stripes in two greys over the void pixels of `target`; writes into `rgb`."""
    rows, columns = (target == VOID).nonzero()
    stripes = np.where((rows + columns) // _HATCH_PX % 2, _VOID_DARK, _VOID_LIGHT)
    rgb[rows, columns] = stripes[:, None]
    return rgb


def png_uri(rgb: Image8, colours: int | None = None) -> str:
    """As `jpeg_uri`, but lossless PNG, for images of few colours; `colours` reduces them further."""
    image = _fitted(rgb, Image.Resampling.NEAREST)
    if colours:
        image = image.quantize(colours, dither=Image.Dither.NONE)
    return _uri(image, "png")


def jpeg_uri(rgb: Image8) -> str:
    """RGB uint8 (H, W, 3) -> a data URI; sizes as in `views`."""
    return _uri(_fitted(rgb, Image.Resampling.BILINEAR), "jpeg")


def _fitted(rgb: Image8, resampling: Image.Resampling) -> Image.Image:
    image = Image.fromarray(rgb)
    scale = max(min(_LARGEST_PX / max(image.size), 1), _SMALLEST_PX // max(image.size))
    height, width = (max(round(side * scale), 1) for side in rgb.shape[:2])
    return image if scale == 1 else image.resize((width, height), resampling)


def _uri(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, format=kind, **({"quality": 85} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
