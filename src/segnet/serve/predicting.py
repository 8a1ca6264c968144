"""What a request can choose about a prediction, and a batch predicted so."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segnet.data.reading.windows import WholeImage
from segnet.data.sample import Image8
from segnet.inference.prediction import Prediction
from segnet.inference.predictor import Predictor
from segnet.inference.tiles import Tiling, predict_in_tiles

SAMPLED_WHOLE_PIXELS = 1_000_000
"""Sampling keeps whole feature maps, some 600 bytes per pixel: larger images are sampled tile by tile."""

_TILE_PX = 1024


@dataclass(frozen=True)
class PredictionOptions:
    """Options of one prediction.

    Attributes:
        confidence: keep the probability of the chosen class.
        probabilities: keep the probability of every class.
        samples: of a Bayesian model; 0 predicts without sampling.
        longest_side_px: larger images are resized to it before the model sees them; 0 does as in training.
    """

    confidence: bool = False
    probabilities: bool = False
    samples: int = 0
    longest_side_px: int = 0


def predict(predictor: Predictor, images: Sequence[Image8], options: PredictionOptions) -> list[Prediction]:
    """Predicts images of one size.

    Args:
        predictor: of the model.
        images: RGB uint8 (H, W, 3) each.
        options: of all of them.

    Returns:
        A prediction for each, in their order.
    """
    if options.longest_side_px != (predictor.longest_side_px or 0):
        predictor = predictor.with_longest_side(options.longest_side_px)
    height, width = images[0].shape[:2]
    seen = seen_pixels(height, width, options.longest_side_px)
    if options.samples and seen > SAMPLED_WHOLE_PIXELS and not options.probabilities:
        return [_sampled_in_tiles(predictor, image, options) for image in images]
    return predictor.batch(
        images,
        confidence=options.confidence,
        probabilities=options.probabilities,
        uncertainty_samples=options.samples,
    )


def seen_pixels(height: int, width: int, longest_side_px: int) -> int:
    """Pixels of the image as the model sees it."""
    factor = min(1.0, longest_side_px / max(height, width)) if longest_side_px else 1.0
    return round(height * width * factor**2)


def _sampled_in_tiles(predictor: Predictor, image: Image8, options: PredictionOptions) -> Prediction:
    tiling = Tiling((image.shape[0], image.shape[1]), _TILE_PX)
    bands = list(
        predict_in_tiles(
            predictor, WholeImage(image), tiling, confidence=options.confidence, uncertainty_samples=options.samples
        )
    )
    confidence = [band.confidence for band in bands if band.confidence is not None]
    uncertainty = [band.uncertainty for band in bands if band.uncertainty is not None]
    return Prediction(
        image,
        np.concatenate([band.classes for band in bands]),
        predictor.label_set,
        np.concatenate(confidence) if confidence else None,
        None,
        {name: np.concatenate([maps[name] for maps in uncertainty]) for name in uncertainty[0]},
    )
