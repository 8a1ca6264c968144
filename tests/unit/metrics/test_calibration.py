import math

import numpy as np
import pytest

from segnet.labels import VOID
from segnet.metrics.calibration import BINS, Calibration
from segnet.report.calibration_plot import calibration_plots


def counted(confidence: np.ndarray, right: np.ndarray) -> Calibration:
    calibration = Calibration()
    calibration.add(
        confidence.astype(np.float32), np.where(right, 1, 0).astype(np.uint8), np.ones_like(right, np.uint8)
    )
    return calibration


def test_a_model_that_is_right_as_often_as_it_says_has_no_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random((400, 500))
    honest = counted(confidence, rng.random((400, 500)) < confidence)
    assert honest.expected_error < 0.01  # 13,000 pixels a bin: a standard error of 0.004 at most
    boaster = counted(np.full((10, 10), 0.9), np.arange(100).reshape(10, 10) < 60)
    assert boaster.expected_error == pytest.approx(0.3)


def test_against_a_loop_over_bins() -> None:
    rng = np.random.default_rng(1)
    confidence, right = rng.random((37, 53)).astype(np.float32), rng.random((37, 53)) < 0.6
    expected = 0.0
    for number in range(BINS):
        inside = (confidence >= number / BINS) & (confidence < (number + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert counted(confidence, right).expected_error == pytest.approx(expected, abs=1e-6)
    order = np.argsort(-confidence.ravel())
    for share in (0.1, 0.5, 0.9, 1.0):
        surest = right.ravel()[order[: round(share * order.size)]].mean()
        # a step is 1/40 of a halving: its pixels are taken as mixed
        assert counted(confidence, right).accuracy_of_surest(share) == pytest.approx(surest, abs=0.01)


def test_confidences_near_one_are_told_apart() -> None:
    confidence = np.array([[1 - 1e-6, 1 - 1e-5, 1 - 1e-4, 1 - 1e-3]])
    calibration = counted(confidence, np.array([[True, True, False, False]]))
    assert [calibration.accuracy_of_surest(share) for share in (0.25, 0.5, 0.75, 1.0)] == pytest.approx(
        [1, 1, 2 / 3, 0.5]
    )


def test_void_is_left_out_and_images_add_up() -> None:
    calibration = Calibration()
    assert math.isnan(calibration.expected_error)
    assert math.isnan(calibration.accuracy_of_surest(0.5))
    assert calibration.to_dict()["expected_calibration_error"] is None
    assert calibration_plots(calibration) == []
    for target in (1, VOID, 0):
        calibration.add(np.ones((2, 3), np.float32), np.ones((2, 3), np.uint8), np.full((2, 3), target, np.uint8))
    assert calibration.pixels.sum() == 12
    assert calibration.pixels[-1] == 12
    assert calibration.expected_error == pytest.approx(0.5)
    assert calibration.to_dict()["accuracy_of_surest"] == dict.fromkeys(("0.1", "0.5", "0.9", "1"), 0.5)


def test_the_plots_say_the_numbers() -> None:
    calibration = counted(np.full((10, 10), 0.9), np.arange(100).reshape(10, 10) < 60)
    (reliability, caption), (surest, words) = calibration_plots(calibration)
    assert caption.endswith("Expected calibration error 30.0 %.")
    assert "60.0 % for the top tenth" in words
    assert "confidence, percent" in reliability
    assert "pixels kept" in surest
