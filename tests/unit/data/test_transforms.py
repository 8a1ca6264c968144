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


def test_a_crop_at_scale_one_is_a_part_of_the_image() -> None:
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


@pytest.mark.parametrize(
    "augmentation", [Augmentation(scale=(1.7, 1.7), crop_px=(40, 60)), Augmentation(rotate_degrees=30)]
)
def test_labels_are_never_interpolated(augmentation: Augmentation) -> None:
    target = np.where(np.indices((40, 60)).sum(0) // 5 % 2, 0, 200).astype(np.uint8)  # nothing between 0 and 200
    sample = Sample(np.zeros((40, 60, 3), np.uint8), target, "stripes")
    for seed in range(3):
        result = augment(sample, augmentation, np.random.default_rng(seed))
        assert set(np.unique(result.target)) <= {0, 200, VOID}


def test_scale_is_log_uniform() -> None:
    """From 0.5 to 2, half of the factors are below 1; drawn uniformly it would be a third."""
    sample = Sample(np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8), "flat")
    augmentation = Augmentation(scale=(0.5, 2.0), crop_px=(40, 40))
    shrunk = [(augment(sample, augmentation, np.random.default_rng(seed)).target == VOID).any() for seed in range(400)]
    assert np.mean(shrunk) == pytest.approx(0.5, abs=0.08)  # standard deviation 0.025; a third is 0.17 away


@pytest.mark.parametrize("degrees", [10.0, 45.0])
def test_rotation_turns_both_and_leaves_void_corners(degrees: float) -> None:
    sample = checkers()
    turned = 0.0
    for seed in range(4):
        result = augment(sample, Augmentation(rotate_degrees=degrees), np.random.default_rng(seed))
        assert result.image.shape == sample.image.shape
        assert agreement(result) > 0.75
        turned = max(turned, (result.target == VOID).mean())
        assert (result.image[0, 0] == 128).all() or result.target[0, 0] != VOID
    assert turned > 0.01


def test_vertical_flip_moves_both() -> None:
    sample = checkers()
    results = [augment(sample, Augmentation(flip_vertical=True), np.random.default_rng(s)) for s in range(60)]
    flipped = [np.array_equal(r.target, sample.target[::-1]) for r in results]
    assert all(agreement(r) == 1 for r in results)
    assert 15 < sum(flipped) < 45  # 30 expected, standard deviation 4


def test_rare_class_crops_contain_the_rare_class() -> None:
    target = np.zeros((64, 64), np.uint8)
    target[50:52, 3:5] = 7
    sample = Sample(np.zeros((64, 64, 3), np.uint8), target, "four pixels of class 7")

    def share(rare_class_crop: float) -> float:
        augmentation = Augmentation(crop_px=(16, 16), rare_class_crop=rare_class_crop)
        crops = [augment(sample, augmentation, np.random.default_rng(seed)) for seed in range(200)]
        assert all(c.target.shape == (16, 16) for c in crops)
        return float(np.mean([(c.target == 7).any() for c in crops]))

    assert share(0.0) < 0.15
    assert 0.4 < share(1.0) < 0.65  # half of the crops are drawn for class 7, half for class 0


def test_images_of_other_channels_and_types_move_like_rgb() -> None:
    augmentation = Augmentation(flip=True, rotate_degrees=20, scale=(0.8, 1.5), crop_px=(32, 48), brightness=0.1)
    rgb = checkers()
    expected = augment(rgb, augmentation, np.random.default_rng(5))
    six = Sample(np.repeat(rgb.target[..., None].astype(np.uint16) * 5000, 6, axis=2), rgb.target, "six bands")
    got = augment(six, augmentation, np.random.default_rng(5))
    assert got.image.shape == (32, 48, 6)
    assert got.image.dtype == np.uint16
    assert np.array_equal(got.target, expected.target)
    floats = Sample(six.image.astype(np.float32) / 65535, rgb.target, "floats")
    assert augment(floats, augmentation, np.random.default_rng(5)).image == pytest.approx(got.image / 65535, abs=2e-5)


def test_the_same_seed_gives_the_same_sample() -> None:
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
        ({"scale": (0.5, 2.0)}, "crop_px must give"),
        ({"scale": (2.0, 0.5), "crop_px": (8, 8)}, "low <= high"),
        ({"scale": (0.0, 1.0), "crop_px": (8, 8)}, "0 < low"),
        ({"crop_px": (0, 8)}, "at least 1"),
        ({"brightness": 1.0}, "brightness"),
        ({"saturation": -0.1}, "saturation"),
        ({"tint": 1.0}, "tint"),
        ({"rare_class_crop": 0.5}, "rare_class_crop needs"),
        ({"cutmix": 0.6, "classmix": 0.6}, "sum of at most 1"),
        ({"rotate_degrees": 200}, "rotate_degrees"),
        ({"blurr": 1}, "blurr"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Augmentation(**settings)
