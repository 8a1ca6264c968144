"""Names of folders and files as people have them."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.checking import check
from segnet.data.datasets.folder import Folder
from segnet.data.datasets.label_names import LabelIndex
from segnet.data.describe_labels import init_folder
from segnet.data.importers import import_dataset
from segnet.data.splitting import split_folder
from segnet.errors import DataError


def pair(image: Path, label: Path, value: int = 1) -> None:
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(image.name) + value).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(image)
    target = np.zeros((8, 8), np.uint8)
    target[2:6, 2:6] = value
    Image.fromarray(target).save(label)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{}.png", "masks/{}_mask.png"),
        ("Images/{}.JPG", "Labels/{}.PNG"),
        ("imgs/{}.jpeg", "masks/{}.TIF"),
        ("image/{}.jfif", "ground_truth/{}.bmp"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("images/{}.png", "labels/mask_{}.png"),
        ("images/image_{}.png", "labels/label_{}.png"),
        ("images/{}_sat.jpg", "masks/{}_mask.png"),
        ("images/{}.png", "labels/{}_label_ground-truth.png"),
        ("images/{}.png", "labels/{}-Segmentation.png"),
        ("images/{}.png", "labels/{}_GT.gif"),
        ("train/{}.png", "train_masks/{}_mask.gif"),
        ("train/images/{}.png", "train/masks/{}.png"),
        ("Training/images/{}.png", "Training/labels/{}.png"),
        ("images/train/{}.png", "labels/{}.png"),
        ("images/{}.jpg", "labels/{}.jpg.png"),
        ("imgs/caf\u00e9-{}.png", "annots/cafe\u0301-{}.png"),
    ],
)
def test_images_find_their_labels(images: str, labels: str, tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        pair(tmp_path / images.format(name), tmp_path / labels.format(name))
    init_folder(tmp_path)
    splits = [Folder(tmp_path, split) for split in ("train", "val")]
    assert [len(split) for split in splits] == [2, 1]
    for split in splits:
        for image, label in split.pairs:
            assert re.findall(r"p\d", image.name) == re.findall(r"p\d", label.name)
        assert (split[0].target == 1).sum() == 16


def test_the_nearest_name_wins_and_two_of_the_same_rank_are_refused(tmp_path: Path) -> None:
    names = [
        "a.png",
        "a_mask.png",
        "a_L.png",
        "b_Mask.png",
        "c_seg.png",
        "c_annotation.png",
        "d-mask.PNG",
        "d_Mask.png",
    ]
    index = LabelIndex([tmp_path / name for name in names])
    assert [[path.name for path in index.of(name)] for name in "abcd"] == [
        ["a.png"],
        ["b_Mask.png"],
        ["c_seg.png"],
        ["d-mask.PNG"],
    ]
    assert [path.name for path in LabelIndex([tmp_path / "e_Mask.png", tmp_path / "e_GT.png"]).of("e")] == [
        "e_Mask.png",
        "e_GT.png",
    ]
    assert index.of("z") == []
    assert LabelIndex([tmp_path / "mask.png"]).of("image") == []


def test_a_split_of_its_own_and_valid_for_val(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        for name in ("p1", "p2"):
            pair(tmp_path / f"{split}/images/{name}.png", tmp_path / f"{split}/labels/{name}.png")
    init_folder(tmp_path)
    assert [len(Folder(tmp_path, split)) for split in ("train", "val", "test")] == [2, 2, 2]
    with pytest.raises(DataError, match="valid/images/ is a split already"):
        split_folder(tmp_path, {"val": 0.5})


def test_a_folder_of_train_alone_is_split_by_lists(tmp_path: Path) -> None:
    for number in range(10):
        pair(tmp_path / f"train/x{number}y.png", tmp_path / f"train_labels/x{number}y_L.png", number + 1)
    split_folder(tmp_path, {"val": 0.3}, by="image", compare=False)
    init_folder(tmp_path)
    train, val = (Folder(tmp_path, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (7, 3)
    assert not set(train.names) & set(val.names)


def test_labels_without_an_image_are_noted_and_those_of_other_splits_are_not(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        pair(tmp_path / f"images/{name}.png", tmp_path / f"labels/{name}.png")
    init_folder(tmp_path)
    assert check(Folder(tmp_path, "train")).notes == ()
    (tmp_path / "images/p3.png").rename(tmp_path / "images/other.png")
    found = [note for split in ("train", "val") for note in check(Folder(tmp_path, split, allow_missing=True)).notes]
    assert found[0] == f"1 label images belong to no image, such as {tmp_path}/labels/p3.png"


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    pair(tmp_path / "images/p1.png", tmp_path / "labels/p1.png")
    init_folder(tmp_path)
    (tmp_path / "images/p1.png").rename(tmp_path / "images/p1.heic")
    with pytest.raises(
        DataError, match=r"no image in the split 'train' .*; 1 files there are not read, such as p1.heic"
    ):
        Folder(tmp_path, "train")


def test_links_that_lead_nowhere_or_to_themselves(tmp_path: Path) -> None:
    pair(tmp_path / "images/p1.png", tmp_path / "labels/p1.png")
    pair(tmp_path / "images/p2.png", tmp_path / "labels/p2.png")
    init_folder(tmp_path)
    (tmp_path / "images/p3.png").symlink_to(tmp_path / "images/p3.png")
    found = [check(Folder(tmp_path, s, allow_missing=True)).unreadable for s in ("train", "val")]
    assert sum(map(len, found)) == 1 and "p3.png" in (*found[0], *found[1])[0]
    (tmp_path / "labels").rename(tmp_path / "away")
    (tmp_path / "labels").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"labels is a link to .*gone, which does not exist"):
        Folder(tmp_path, "train")


@pytest.mark.parametrize(
    ("image", "label"), [("{}_sat.jpg", "{}_mask.png"), ("{}.jpg", "{}.png"), ("{}.png", "{}_L.png")]
)
def test_images_and_labels_in_one_folder_are_imported(image: str, label: str, tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        pair(tmp_path / "src" / image.format(name), tmp_path / "src" / label.format(name))
    import_dataset(tmp_path / "src", tmp_path / "out")
    data = [Folder(tmp_path / "out", split) for split in ("train", "val")]
    assert [len(split) for split in data] == [2, 1]
    assert (data[0][0].target == 1).sum() == 16
