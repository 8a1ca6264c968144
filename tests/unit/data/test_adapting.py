from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.data.adapting import adapt_dataset, apply_transform, as_sample
from segnet.data.sample import Sample
from segnet.data.street.scenes import street_split
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import VOID

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
TARGET = RNG.integers(0, 3, (4, 6)).astype(np.uint8)
TARGET[0, 0] = VOID


class Listed:
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


@pytest.mark.parametrize(
    "item",
    [
        (RGB, TARGET),
        [RGB, TARGET.astype(np.int64)],
        {"image": RGB, "target": TARGET},
        {"image": RGB, "mask": TARGET[None], "name": "x"},
        (torch.from_numpy(RGB).permute(2, 0, 1), torch.from_numpy(TARGET).long()),
        (Image.fromarray(RGB), Image.fromarray(TARGET)),
        Sample(RGB, TARGET, "s"),
    ],
)
def test_all_forms_of_an_item_give_the_same_sample(item: Any) -> None:
    sample = adapt_dataset(Listed(item), 3)[0]
    assert np.array_equal(sample.image, RGB)
    assert np.array_equal(sample.target, TARGET)
    assert sample.target.dtype == np.uint8


def test_a_square_tensor_is_channels_first_and_an_array_channels_last() -> None:
    cube = RNG.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    target = np.zeros((3, 3), np.uint8)
    assert np.array_equal(as_sample((cube, target), "a").image, cube)
    assert np.array_equal(as_sample((torch.from_numpy(cube), target), "a").image, cube.transpose(1, 2, 0))


def test_floats_reach_the_model_as_they_are() -> None:
    image = torch.randn(5, 4, 6, dtype=torch.float64)
    sample = as_sample((image, TARGET), "five channels")
    assert sample.image.dtype == np.float32
    assert np.array_equal(sample.image, image.permute(1, 2, 0).float().numpy())
    assert as_sample((np.zeros((4, 6)), TARGET), "one channel").image.shape == (4, 6, 1)


def test_classes_and_names() -> None:
    ours = street_split("street", "val", False)
    assert adapt_dataset(ours) is ours
    listed = Listed((RGB, TARGET))
    assert adapt_dataset(listed, ["a", "b", "c"]).label_set.names == ("a", "b", "c")
    assert adapt_dataset(listed, 3).label_set.names == ("class 0", "class 1", "class 2")
    assert adapt_dataset(listed, 3).names == ("sample 0",)
    listed.classes = ["x", "y", "z"]
    listed.names = ["one.png"]
    assert adapt_dataset(listed).label_set.names == ("x", "y", "z")
    assert adapt_dataset(listed).names == ("one.png",)


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        (
            {"img": RGB, "target": TARGET},
            DataError,
            r"sample 0: expected the keys image and target \(or mask\), got img, target",
        ),
        ((RGB, TARGET, 1), DataError, r"expected a dict .* got 3 values"),
        (RGB, DataError, "got ndarray"),
        ((RGB, TARGET[:3]), ShapeError, r"image \(4, 6, 3\) and target \(3, 6\) differ"),
        ((RGB, RGB), ShapeError, r"expected a target \(H, W\), got \(4, 6, 3\)"),
        ((RGB, TARGET / 2), LabelError, "integer class ids, got float64"),
        ((RGB, TARGET.astype(np.int64) - 1), LabelError, r"pixels of class id -1.*255 for ignored"),
        ((RGB, np.full((4, 6), 3)), LabelError, r"24 pixels of class id 3; expected 0\.\.2"),
        ((RGB.astype(np.int32), TARGET), DataError, "uint8, uint16 or float, got int32"),
    ],
)
def test_items_that_cannot_be_used(item: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        _ = adapt_dataset(Listed(item), 3)[0]


def test_datasets_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="expected a dataset with __len__ and __getitem__"):
        adapt_dataset(iter([1]), 3)
    with pytest.raises(DataError, match="holds no sample"):
        adapt_dataset(Listed(), 3)
    with pytest.raises(LabelError, match="no label_set or classes"):
        adapt_dataset(Listed((RGB, TARGET)))
    with pytest.raises(LabelError, match=r"expected names, got the string 'road'; write \['road'\]"):
        adapt_dataset(Listed((RGB, TARGET)), "road")


def test_a_transform_must_change_both() -> None:
    sample = Sample(RGB, TARGET, "a.png")
    flipped = apply_transform(sample, lambda image, target: (image.flip(-1), target.flip(-1)))
    assert np.array_equal(flipped.image, RGB[:, ::-1] / np.float32(255))  # transforms see what models see
    assert np.array_equal(flipped.target, TARGET[:, ::-1])
    with pytest.raises(ShapeError, match=r"a\.png: image .*must change the target too"):
        apply_transform(sample, lambda image, target: (image[:, ::2, ::2], target))
    with pytest.raises(DataError, match=r"expected a pair \(image, target\), got Tensor"):
        apply_transform(sample, lambda image, target: image)
