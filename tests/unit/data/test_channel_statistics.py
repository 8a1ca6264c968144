import numpy as np
import pytest

from segnet.data.channel_statistics import LEAST_STD, channel_statistics
from segnet.data.sample import Sample
from segnet.errors import ShapeError
from segnet.labels import CAMVID_11, LabelSet


class Drawn:
    label_set: LabelSet = CAMVID_11

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images
        self.names = tuple(str(i) for i in range(len(images)))
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        self.read.append(index)
        return Sample(self.images[index], np.zeros(self.images[index].shape[:2], np.uint8), self.names[index])


def test_over_all_pixels_of_images_of_any_size() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 200, (5 + i, 7, 6), dtype=np.uint8) for i in range(3)]
    images[0][..., 2] = 250
    pixels = np.concatenate([image.reshape(-1, 6) for image in images]) / 255
    found = channel_statistics(Drawn(images))
    np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-6)  # float32 values
    np.testing.assert_allclose(found.std, pixels.std(0), rtol=1e-6)


def test_16_bits_are_scaled_as_the_model_sees_them() -> None:
    image = np.array([0, 65535], np.uint16).reshape(1, 2, 1)
    found = channel_statistics(Drawn([image]))
    assert (found.mean, found.std) == ((0.5,), (0.5,))


def test_a_constant_channel_has_a_deviation_to_divide_by() -> None:
    found = channel_statistics(Drawn([np.full((4, 4, 1), 51, np.uint8)]))
    assert found.mean == pytest.approx((0.2,))
    assert found.std == (LEAST_STD,)


def test_a_large_dataset_is_sampled_evenly() -> None:
    dataset = Drawn([np.full((1, 1, 2), i, np.uint8) for i in range(11)])
    channel_statistics(dataset, max_images=3)
    assert dataset.read == [0, 5, 10]


def test_images_of_different_channels_are_named() -> None:
    with pytest.raises(ShapeError, match="'0' has 4 channels but '1' has 3; choose the same bands"):
        channel_statistics(Drawn([np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3), np.uint8)]))
