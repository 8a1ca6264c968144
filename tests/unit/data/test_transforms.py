import numpy as np
import pytest
import torch

from segnet.data.sample import Sample
from segnet.data.transforms import Augmentation, augment, image_to_tensor, target_to_tensor
from segnet.errors import ConfigError
from segnet.labels import VOID


def checkers(height: int = 40, width: int = 60) -> Sample:
    """Blocks of 10 pixels; the class id of a block is written in its colour, so image and labels can be compared."""
    rows, columns = np.indices((height, width)) // 10
    target = ((rows * 6 + columns) % 11).astype(np.uint8)
    return Sample(np.repeat(target[..., None] * 20, 3, axis=2), target, "checkers")


def agreement(sample: Sample) -> float:
    """Share of labelled pixels whose colour is that of their class."""
    labelled = sample.target != VOID
    near = np.abs(sample.image[..., 0].astype(int) - sample.target.astype(int) * 20) <= 9
    return float(near[labelled].mean())


def test_the_default_changes_nothing() -> None:
    sample = checkers()
    result = augment(sample, Augmentation(), np.random.default_rng(0))
    assert np.array_equal(result.image, sample.image)
    assert np.array_equal(result.target, sample.target)


@pytest.mark.parametrize("seed", range(8))
def test_image_and_labels_move_together(seed: int) -> None:
    augmentation = Augmentation(flip=True, scale=(0.5, 2.0), crop_px=(32, 48))
    result = augment(checkers(), augmentation, np.random.default_rng(seed))
    assert result.image.shape == (32, 48, 3)
    assert result.target.shape == (32, 48)
    # Bilinear colours differ from nearest labels only along the borders of the blocks.
    assert agreement(result) > 0.75
    shuffled = Sample(result.image[:, ::-1], result.target, "moved apart")
    assert agreement(shuffled) < agreement(result)


def test_flip_happens_about_half_of_the_time_and_to_both() -> None:
    sample = checkers()
    flipped = 0
    for seed in range(200):
        result = augment(sample, Augmentation(flip=True), np.random.default_rng(seed))
        assert agreement(result) == 1
        flipped += np.array_equal(result.target, sample.target[:, ::-1])
    assert 70 < flipped < 130  # 100 expected, standard deviation 7


def test_a_small_image_is_padded_with_grey_and_void() -> None:
    augmentation = Augmentation(scale=(0.5, 0.5), crop_px=(64, 64))
    result = augment(checkers(), augmentation, np.random.default_rng(0))
    void = result.target == VOID
    assert (~void).sum() == 20 * 30
    assert (result.image[void] == 128).all()


def test_a_crop_at_scale_one_is_a_piece_of_the_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    sample = Sample(image, image[..., 0], "noise")
    result = augment(sample, Augmentation(crop_px=(9, 9)), np.random.default_rng(1))
    assert np.array_equal(result.image, image)
    assert np.array_equal(result.target, image[..., 0])


def test_jitter_changes_the_image_only_and_within_bounds() -> None:
    sample = Sample(np.full((4, 4, 3), 100, np.uint8), np.zeros((4, 4), np.uint8), "grey")
    values = [
        int(augment(sample, Augmentation(brightness=0.2), np.random.default_rng(s)).image[0, 0, 0]) for s in range(50)
    ]
    assert min(values) >= 80
    assert max(values) <= 120
    assert len(set(values)) > 10
    red = Sample(np.tile(np.array([140, 80, 80], np.uint8), (4, 4, 1)), np.zeros((4, 4), np.uint8), "red")
    grey = augment(red, Augmentation(saturation=0.99), np.random.default_rng(2))
    assert np.array_equal(grey.target, red.target)
    weights = np.array([0.299, 0.587, 0.114])
    assert abs(grey.image[0, 0] @ weights - red.image[0, 0] @ weights) <= 1  # saturation keeps the grey value
    flat = augment(sample, Augmentation(contrast=0.5), np.random.default_rng(3))
    assert np.array_equal(flat.image, sample.image)  # an image of one colour has no contrast to change


def test_tint_multiplies_each_colour_by_its_own_factor() -> None:
    sample = Sample(np.full((4, 4, 3), 100, np.uint8), np.zeros((4, 4), np.uint8), "grey")
    images = [augment(sample, Augmentation(tint=0.3), np.random.default_rng(s)).image for s in range(50)]
    colours = np.array([image[0, 0] for image in images])
    assert all(np.array_equal(image, np.broadcast_to(image[0, 0], (4, 4, 3))) for image in images)
    assert (colours.min(), colours.max()) == pytest.approx((70, 130), abs=3)
    assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.5  # each by itself
    plain = Augmentation(brightness=0.2, tint=0.0)
    same = [augment(sample, a, np.random.default_rng(1)).image for a in (Augmentation(brightness=0.2), plain)]
    assert np.array_equal(*same)


def test_the_same_source_of_chance_gives_the_same_sample() -> None:
    augmentation = Augmentation(flip=True, scale=(0.5, 2.0), crop_px=(16, 16), brightness=0.3)
    first, second = (augment(checkers(), augmentation, np.random.default_rng([1, 2, 3])) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    other = augment(checkers(), augmentation, np.random.default_rng([1, 2, 4]))
    assert not np.array_equal(first.image, other.image)


def test_tensors() -> None:
    image = image_to_tensor(np.array([[[0, 51, 255]]], np.uint8))
    assert image.dtype == torch.float32
    assert image.shape == (3, 1, 1)
    assert image.flatten().tolist() == pytest.approx([0, 0.2, 1])
    target = target_to_tensor(np.array([[3, VOID]], np.uint8))
    assert target.dtype == torch.int64
    assert target.tolist() == [[3, 255]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scale": (0.5, 2.0)}, "crop_px must say"),
        ({"scale": (2.0, 0.5), "crop_px": (8, 8)}, "low <= high"),
        ({"scale": (0.0, 1.0), "crop_px": (8, 8)}, "0 < low"),
        ({"crop_px": (0, 8)}, "at least 1"),
        ({"brightness": 1.0}, "brightness"),
        ({"saturation": -0.1}, "saturation"),
        ({"tint": 1.0}, "tint"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Augmentation(**settings)
