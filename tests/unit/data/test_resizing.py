"""Images at a longest side: sizes, types, labels by nearest neighbour; and how large objects in labels are."""

import numpy as np
import pytest

from segnet.data.object_size import object_sizes_px
from segnet.data.resizing import Resized, resized_image, size_within
from segnet.data.sample import Sample
from segnet.labels import CAMVID_11, VOID

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("size_px", "longest", "expected"),
    [
        ((300, 400), 100, (75, 100)),
        ((400, 300), 100, (100, 75)),
        ((30, 40), 100, (30, 40)),
        ((3, 1000), 10, (1, 10)),
        ((300, 400), None, (300, 400)),
    ],
)
def test_sizes(size_px: tuple[int, int], longest: int | None, expected: tuple[int, int]) -> None:
    assert size_within(size_px, longest) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_type_are_averaged_by_area(dtype: type, channels: int) -> None:
    image = np.zeros((40, 60, channels), dtype)
    image[:, 30:] = 200
    small = resized_image(image, (4, 6))
    assert (small.dtype, small.shape) == (np.dtype(dtype), (4, 6, channels))
    assert small[:, 0].max() == 0 and small[:, -1].min() == 200
    assert resized_image(image, (40, 60)) is image
    noise = RNG.integers(0, 200, (64, 64, channels)).astype(dtype)
    assert resized_image(noise, (2, 2)).std() < 12  # 1 of 32 pixels alone would have 58


class One:
    label_set, names = CAMVID_11, ("a",)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        target = np.zeros((40, 80), np.uint8)
        target[:, 40:] = 8
        target[:, 78:] = VOID
        return Sample(np.repeat(target[..., None], 3, 2), target, "a")


def test_labels_are_never_mixed() -> None:
    sample = Resized(One(), 20)[0]
    assert sample.image.shape == (10, 20, 3)
    assert np.unique(sample.target).tolist() in ([0, 8], [0, 8, VOID])
    assert (sample.target[:, :10] == 0).all() and (sample.target[:, 10:19] == 8).all()
    own = Resized(One(), 20, targets=False)[0]
    assert own.image.shape == (10, 20, 3) and own.target.shape == (40, 80)
    whole = Resized(One(), 100)
    assert whole[0].image.shape == (40, 80, 3)
    assert (len(whole), whole.names, whole.label_set) == (1, ("a",), CAMVID_11)


def test_sizes_of_objects_are_those_of_connected_areas() -> None:
    target = np.full((1000, 1500), VOID, np.uint8)
    target[100:300, 100:300] = 1
    target[500:600, 100:500] = 1  # apart from the first
    target[0:5, 0:5] = 2  # a speck
    assert sorted(object_sizes_px(target)) == pytest.approx([200, 200], rel=0.03)
    assert object_sizes_px(np.full((9, 9), VOID, np.uint8)) == []
