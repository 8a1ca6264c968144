import math

import numpy as np
import pytest

from segnet.errors import ConfigError, LabelError, ShapeError
from segnet.labels import VOID
from segnet.metrics.boundary import ClassIds, boundary_f1, boundary_f1_authors, mean_over_images, trimap

BOTH = [boundary_f1, boundary_f1_authors]


def halves(column: int, height: int = 60, width: int = 80) -> ClassIds:
    """Class 0 left of a column, class 1 from it on: an image whose diagonal is 100 pixels."""
    target = np.zeros((height, width), dtype=np.uint8)
    target[:, column:] = 1
    return target


# ------------------------------------------------------------------------------------------------ the paper's form


@pytest.mark.parametrize("score", BOTH)
def test_the_target_itself_scores_1(score: object) -> None:
    assert callable(score)
    target = np.random.default_rng(0).integers(0, 5, (20, 30))
    assert score(target, target, 5) == 1


@pytest.mark.parametrize("score", BOTH)
@pytest.mark.parametrize(("shift", "expected"), [(0, 1), (3, 1), (4, 0), (-3, 1), (-4, 0)])
def test_a_straight_edge_is_right_up_to_the_tolerance(score: object, shift: int, expected: float) -> None:
    assert callable(score)
    # 3 % of 100 pixels are 3 pixels, and exactly 3 are still within
    assert score(halves(40 + shift), halves(40), 2, tolerance=0.03) == expected


def test_the_default_tolerance_is_4_and_a_half_pixels_at_360x480() -> None:
    target = halves(240, 360, 480)
    assert boundary_f1(halves(244, 360, 480), target, 2) == 1
    assert boundary_f1(halves(245, 360, 480), target, 2) == 0


def test_precision_and_recall_by_hand() -> None:
    # the target's edge runs down the whole image; the prediction has its upper half only, plus an edge below it
    target = halves(40)
    prediction = target.copy()
    prediction[30:] = 0
    # class 1: of the prediction's pixels, 30 stand at column 40 and 39 more at row 29; of the target's 60, 30 are found
    own = 2 * (30 / 69) * (30 / 60) / (30 / 69 + 30 / 60)
    # class 0: 30 at column 39, and row 30 from column 40 to 79, at whose corner (30, 39) all four neighbours are 0
    other = 2 * (30 / 70) * (30 / 60) / (30 / 70 + 30 / 60)
    assert boundary_f1(prediction, target, 2, tolerance=0) == pytest.approx((own + other) / 2)


def test_a_class_that_is_only_predicted_costs_nothing_by_itself() -> None:
    target = halves(40)
    prediction = target.copy()
    prediction[10:20, 60:70] = 2  # its hole costs class 1 precision: 40 pixels around it, beside the 60 that are right
    right = 2 * (60 / 100) / (60 / 100 + 1)
    assert boundary_f1(prediction, target, 3, tolerance=0) == pytest.approx((1 + right) / 2)


def test_a_class_of_the_target_that_is_not_predicted_scores_0() -> None:
    target = halves(40)
    target[:, 60:] = 2
    assert boundary_f1(np.where(target == 2, 1, target), target, 3, tolerance=0) == pytest.approx(
        np.mean([1, 2 / (1 + 2), 0])  # class 1 is right at one of its two edges
    )


def test_boundaries_of_another_class_are_no_match() -> None:
    assert boundary_f1(1 - halves(40), halves(40), 2, tolerance=0) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 1), (8, 8)])
def test_one_class_all_over_has_no_boundary(shape: tuple[int, int]) -> None:
    image = np.full(shape, 2)
    assert math.isnan(boundary_f1(image, image, 3))
    assert boundary_f1_authors(image, image, 3) == 0
    assert math.isnan(boundary_f1(image, np.full(shape, VOID), 3))


def test_boundaries_invented_in_an_image_of_one_class_score_0() -> None:
    assert boundary_f1(halves(40), np.zeros((60, 80), dtype=np.uint8), 2) == 0


# ------------------------------------------------------------------------------------------------ void


def test_what_is_predicted_in_void_never_counts() -> None:
    target = halves(40)
    target[20:40, 30:50] = VOID
    prediction = target.copy()
    for seed in range(3):
        inside = np.random.default_rng(seed).integers(0, 256, (20, 20))
        prediction[20:40, 30:50] = inside
        assert boundary_f1(prediction, target, 2, tolerance=0) == 1


def test_the_edge_of_void_is_no_boundary() -> None:
    target = np.zeros((30, 40), dtype=np.uint8)
    target[10:20, 10:20] = 1
    target[9, 9:21] = target[20, 9:21] = target[9:21, 9] = target[9:21, 20] = VOID  # class 1 touches void only
    assert math.isnan(boundary_f1(np.zeros_like(target), target, 2))


def test_the_authors_form_does_count_void() -> None:
    target = halves(40)
    prediction = target.copy()
    target[20:40, 60:70] = VOID
    assert boundary_f1(prediction, target, 2) == 1
    assert boundary_f1_authors(prediction, target, 2) < 0.9


# ------------------------------------------------------------------------------------------------ the authors' form


def test_pixels_are_paired_one_to_one() -> None:
    # three thin lines against one: each of the three is near the one, but only a third can be paired
    target, prediction = np.zeros((2, 60, 80), dtype=np.uint8)
    target[:, 40:42] = 1
    prediction[:, [38, 41, 44]] = 1
    assert boundary_f1(prediction, target, 2, tolerance=0.05) == 1
    # corner boundaries: the target's at columns 39 and 41, the prediction's at 37, 38, 40, 41, 43, 44; for both classes
    assert boundary_f1_authors(prediction, target, 2, tolerance=0.05) == pytest.approx(2 * 2 / (2 + 6))


def test_a_class_that_is_only_predicted_scores_0_in_the_authors_mean() -> None:
    target = halves(40)
    prediction = target.copy()
    prediction[10, 60] = 2  # one pixel: a hole of 4 corner pixels in class 1, beside the 60 that are right
    assert boundary_f1_authors(prediction, target, 3, tolerance=0) == pytest.approx(np.mean([1, 120 / 124, 0]))


def test_pairing_finds_the_largest_number_not_the_nearest_first() -> None:
    target, prediction = np.zeros((2, 1, 8), dtype=np.uint8)
    prediction[:, 2:4], target[:, 3:5] = 1, 1
    # corners of the prediction stand at columns 1 and 3, of the target at 2 and 4: 3 must leave 2 to 1 and take 4
    assert boundary_f1_authors(prediction, target, 2, tolerance=1 / math.hypot(1, 8)) == 1
    assert boundary_f1_authors(prediction, target, 2, tolerance=0.99 / math.hypot(1, 8)) == 0


# ------------------------------------------------------------------------------------------------ means and errors


def test_mean_over_images_leaves_out_those_without_a_score() -> None:
    assert mean_over_images([0.5, math.nan, 1.0]) == (0.75, 2)
    value, averaged = mean_over_images([math.nan])
    assert math.isnan(value)
    assert averaged == 0
    assert mean_over_images([])[1] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("score", BOTH)
def test_any_integer_type(score: object, dtype: type[np.integer]) -> None:
    assert callable(score)
    target = halves(40).astype(dtype)
    target[:5, :5] = VOID
    assert 0.9 < score(halves(41).astype(dtype), target, 2, tolerance=0.01) <= 1


@pytest.mark.parametrize("score", BOTH)
def test_shapes_that_differ_are_refused(score: object) -> None:
    assert callable(score)
    for prediction, target in (((4, 5), (5, 4)), ((1, 4, 5), (1, 4, 5))):
        with pytest.raises(ShapeError, match=r"expected prediction and target \(H, W\) of one size, got"):
            score(np.zeros(prediction, np.uint8), np.zeros(target, np.uint8), 2)


@pytest.mark.parametrize("score", BOTH)
def test_ids_outside_the_classes_are_named_and_counted(score: object) -> None:
    assert callable(score)
    with pytest.raises(LabelError, match=r"prediction: 1200 pixels of class id 1; expected 0..0"):
        score(halves(60), np.zeros((60, 80), np.uint8), 1)
    with pytest.raises(LabelError, match=r"target: 4800 pixels of class id -1; expected 0..1"):
        score(halves(60), np.full((60, 80), -1), 2)


@pytest.mark.parametrize("score", BOTH)
def test_a_negative_tolerance_is_refused(score: object) -> None:
    assert callable(score)
    with pytest.raises(ConfigError, match="expected a tolerance of at least 0"):
        score(halves(40), halves(40), 2, tolerance=-0.1)


# ------------------------------------------------------------------------------------------------ trimaps


@pytest.mark.parametrize("band_px", [1, 2, 5])
def test_a_trimap_keeps_that_many_pixels_on_each_side(band_px: int) -> None:
    band = trimap(halves(40), band_px)
    assert band.dtype == np.uint8
    assert (band != VOID).sum() == 60 * 2 * band_px
    assert np.array_equal(band[:, 40 - band_px : 40 + band_px], halves(40)[:, 40 - band_px : 40 + band_px])


def test_the_contour_of_void_belongs_to_a_trimap_and_void_does_not() -> None:
    target = np.zeros((20, 20), dtype=np.int64)
    target[8:12, 8:12] = VOID
    band = trimap(target, 1)
    assert band.dtype == np.int64
    assert (band == 0).sum() == 16  # the four sides of the square; its corners touch nothing
    assert (band[8:12, 8:12] == VOID).all()


def test_an_image_without_contours_has_an_empty_trimap() -> None:
    assert (trimap(np.zeros((4, 5), np.uint8), 3) == VOID).all()
    with pytest.raises(ShapeError, match=r"trimap: expected a target \(H, W\), got \(4,\)"):
        trimap(np.zeros(4, np.uint8), 3)
