import numpy as np
import pytest

from segnet.data.photometric import change_light, is_photometric
from segnet.data.transforms import Augmentation
from segnet.errors import DataError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
GREY = np.full((24, 32, 3), 100, np.uint8)


def draws(image: np.ndarray, **settings: float) -> np.ndarray:
    """40 draws, (40, H, W, 3)."""
    return np.stack([change_light(image, Augmentation(**settings), np.random.default_rng(s)) for s in range(40)])


def test_which_settings_change_values() -> None:
    assert not is_photometric(Augmentation(flip=True, rotate_degrees=5, crop_px=(8, 8)))
    for name in ("brightness", "contrast", "saturation", "tint", "gamma", "shadow", "blur_px", "noise"):
        assert is_photometric(Augmentation(**{name: 0.5})), name


def test_gamma_keeps_black_and_white_and_draws_the_power_evenly_both_ways() -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255], [128, 128, 128]]], np.uint8)
    values = draws(ends, gamma=1.0)
    assert (values[:, 0, 0] == 0).all()
    assert (values[:, 0, 1] == 255).all()
    middle = values[:, 0, 2, 0]
    assert middle.min() >= 64  # 128 ** 2
    assert middle.max() <= 181  # 128 ** 0.5
    assert 10 < (middle < 128).sum() < 30


def test_a_shadow_darkens_one_side_half_of_the_time() -> None:
    values = draws(GREY, shadow=0.5)
    shaded = [v for v in values if (v != 100).any()]
    assert 10 < len(shaded) < 30
    for value in shaded:
        levels = np.unique(value)
        assert len(levels) <= 2
        assert 50 <= levels[0] < 100


def test_blur_lowers_contrast_and_keeps_the_mean() -> None:
    values = draws(NOISE, blur_px=3.0)
    assert np.std(values[5]) < 0.8 * np.std(NOISE)
    assert values.mean() == pytest.approx(NOISE.mean(), abs=1)
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[..., 0] = 200
    assert (draws(colours, blur_px=3.0)[..., 1] == 0).all()  # channels are not blurred into each other


def test_noise_has_at_most_the_standard_deviation_asked_for() -> None:
    deviations = draws(GREY, noise=0.1).astype(float).std(axis=(1, 2, 3)) / 255
    assert deviations.max() <= 0.105
    assert deviations.max() > 0.08
    assert deviations.min() < 0.03


def test_values_stay_in_range_and_of_their_type() -> None:
    everything = Augmentation(
        brightness=0.9, contrast=0.9, saturation=0.9, tint=0.9, gamma=2, shadow=0.9, blur_px=1, noise=0.5
    )
    for image in (NOISE, NOISE.astype(np.uint16) * 257, NOISE[..., :1], (NOISE / 255).astype(np.float32)):
        for seed in range(5):
            changed = change_light(image, everything, np.random.default_rng(seed))
            assert changed.dtype == image.dtype
            assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_normalised_floats_are_refused() -> None:
    image = (NOISE / 255).astype(np.float32) * 4 - 2
    with pytest.raises(DataError, match=r"'a\.png': augment\.gamma, noise: expected values in \[0, 1\], got -2 to 2"):
        change_light(image, Augmentation(gamma=0.5, noise=0.1), np.random.default_rng(0), "a.png")
