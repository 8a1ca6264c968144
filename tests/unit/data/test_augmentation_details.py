"""Details of the joint augmentation that a small wrong change would break: ranges, borders, types, names."""

import numpy as np
import pytest

from segnet.data.sample import Sample
from segnet.data.transforms import Augmentation, _around_a_rare_class, _rotate, augment
from segnet.labels import VOID


def sample(height: int = 40, width: int = 60) -> Sample:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Sample(image, rng.integers(0, 4, (height, width), dtype=np.uint8), "the name")


def test_the_name_stays() -> None:
    given = Augmentation(flip=True, scale=(0.5, 2.0), crop_px=(16, 24), brightness=0.3)
    assert augment(sample(), given, np.random.default_rng(0)).name == "the name"


def test_angles_are_spread_evenly_to_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    angles: list[float] = []

    def rotate(image: np.ndarray, target: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
        angles.append(degrees)
        return image, target

    monkeypatch.setattr("segnet.data.transforms._rotate", rotate)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        augment(sample(4, 4), Augmentation(rotate_degrees=10.0), rng)
    assert -10 <= min(angles) < -9.8
    assert 9.8 < max(angles) <= 10
    assert abs(np.mean(angles)) < 0.5  # the standard error is 0.13


def test_a_rotated_image_is_interpolated_and_its_labels_are_not() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[:, 20:] = 200
    target = np.where(image[:, :, 0] > 0, 3, 1).astype(np.uint8)
    turned, labels = _rotate(image, target, 20.0)
    inside = labels != VOID
    assert set(np.unique(labels)) == {1, 3, VOID}
    assert len(np.unique(turned[inside])) > 10  # nearest would leave two values
    assert (turned[0, 0] == turned[0, 0, 0]).all()


def test_a_rare_class_is_in_the_crop_and_at_any_place_of_it() -> None:
    target = np.zeros((50, 70), np.uint8)
    target[30, 45] = 2
    target[:5] = VOID
    rng, places = np.random.default_rng(0), []
    hits = 0
    for _ in range(400):
        top, left = _around_a_rare_class(target, (0.0, 0.0), (10.0, 10.0), rng)
        assert 0 <= top <= 40
        assert 0 <= left <= 60
        if top <= 30.5 <= top + 10 and left <= 45.5 <= left + 10:
            hits += 1
            places.append((30.5 - top, 45.5 - left))
    assert 150 < hits < 280  # half of the draws take the rare class, whose pixel is then inside
    assert np.min(places, axis=0) == pytest.approx((0, 0), abs=0.6)
    assert np.max(places, axis=0) == pytest.approx((10, 10), abs=0.6)


def test_only_ignored_pixels_keep_the_corner_that_was_drawn() -> None:
    void = np.full((20, 20), VOID, np.uint8)
    assert _around_a_rare_class(void, (3.0, 4.0), (5.0, 5.0), np.random.default_rng(0)) == (3.0, 4.0)


def test_without_rare_class_crops_the_draws_are_those_of_a_plain_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> tuple[float, float]:
        raise AssertionError("not asked for")

    monkeypatch.setattr("segnet.data.transforms._around_a_rare_class", refuse)
    augment(sample(), Augmentation(crop_px=(16, 16)), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(6))
def test_a_small_image_is_padded_anywhere_with_its_own_types(seed: int) -> None:
    result = augment(sample(10, 12), Augmentation(crop_px=(20, 30)), np.random.default_rng(seed))
    assert (result.image.dtype, result.target.dtype) == (np.uint8, np.uint8)
    rows, columns = np.nonzero(result.target != VOID)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (10, 12)


def test_padding_reaches_all_borders() -> None:
    corners = set()
    for seed in range(300):
        result = augment(sample(3, 3), Augmentation(crop_px=(5, 5)), np.random.default_rng(seed))
        rows, columns = np.nonzero(result.target != VOID)
        corners.add((int(rows.min()), int(columns.min())))
    assert corners == {(row, column) for row in range(3) for column in range(3)}
