"""Calibration: whether confidence matches accuracy, from counts of pixels by confidence.

Source:
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017: reliability diagram and expected
    calibration error, 15 bins of equal width.
    Kendall, Badrinarayanan, Cipolla: Bayesian SegNet, 2015: accuracy of the most confident pixels.
"""

import numpy as np
from numpy.typing import NDArray

from segnet.labels import VOID

BINS = 15
_STEPS_PER_HALVING = 40  # of the distance from 1: confidences crowd near 1 and need a fine scale there
_HALVINGS = 24  # the resolution of float32 near 1

Counts = NDArray[np.float64]


class Calibration:
    """Counts over a dataset, updated image by image; void pixels are left out.

    Attributes:
        pixels: in each bin of confidence, (BINS,), from 0 to 1.
        right: number of them with the right class.
        confidence: sum of their confidences.
    """

    def __init__(self) -> None:
        self.pixels, self.right, self.confidence = np.zeros((3, BINS))
        self._surest_pixels, self._surest_right = np.zeros((2, _HALVINGS * _STEPS_PER_HALVING + 1))

    def add(self, confidence: NDArray[np.float32], prediction: np.ndarray, target: np.ndarray) -> None:
        """Counts one image.

        Args:
            confidence: probability of the predicted class, (H, W) in [0, 1].
            prediction: class ids, (H, W).
            target: class ids or `VOID`, (H, W).
        """
        labelled = target != VOID
        sure, right = confidence[labelled].astype(np.float64), (prediction == target)[labelled]
        bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        self.pixels += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins, right, BINS)
        self.confidence += np.bincount(bins, sure, BINS)
        halvings = -np.log2((1 - sure).clip(2.0**-_HALVINGS, 1))
        steps = np.rint(halvings * _STEPS_PER_HALVING).astype(np.int64)
        self._surest_pixels += np.bincount(steps, minlength=len(self._surest_pixels))
        self._surest_right += np.bincount(steps, right, len(self._surest_pixels))

    @property
    def expected_error(self) -> float:
        """ECE: mean over pixels of the gap between their bin's accuracy and mean confidence, 0..1; NaN without any."""
        total = self.pixels.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float("nan")

    def accuracy_of_surest(self, share: float) -> float:
        """Accuracy of the `share` (0..1, above 0) of all pixels with the highest confidence; NaN without
        pixels.

        Within one step of confidence, right and wrong pixels are assumed to be evenly mixed.
        """
        pixels = np.concatenate([[0], self._surest_pixels[::-1].cumsum()])
        right = np.concatenate([[0], self._surest_right[::-1].cumsum()])
        expected = share * pixels[-1]
        return float(np.interp(expected, pixels, right) / expected) if expected else float("nan")

    def to_dict(self) -> dict[str, object]:
        """For JSON: ECE, the bins, accuracy of the surest 10 %, 50 % and of all; undefined values are None."""
        return {
            "expected_calibration_error": _or_none(self.expected_error),
            "accuracy_of_surest": {f"{s:g}": _or_none(self.accuracy_of_surest(s)) for s in (0.1, 0.5, 0.9, 1.0)},
            "bins": {name: getattr(self, name).tolist() for name in ("pixels", "right", "confidence")},
        }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
