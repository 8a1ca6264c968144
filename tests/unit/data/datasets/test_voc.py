from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data import open_dataset
from segnet.data.datasets.voc import VOC
from segnet.errors import DataError, LabelError
from segnet.labels import VOC_21, VOID
from segnet.palette import to_palette_image


@pytest.fixture
def devkit(tmp_path):
    """Two images with palette labels, as VOC writes them: the second is only in trainval."""
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for name in ("2007_000032", "2007_000039"):
        Image.fromarray(np.full((1, 4, 3), 80, np.uint8)).save(folder / "JPEGImages" / f"{name}.jpg")
        target = np.array([[0, 1, 20, VOID]], np.uint8)
        to_palette_image(target, VOC_21).save(folder / "SegmentationClass" / f"{name}.png")
    lists = folder / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "trainval.txt").write_text("2007_000032\n2007_000039\n")
    return tmp_path


def folder_of(devkit: Path) -> Path:
    return devkit / "VOCdevkit" / "VOC2012"


def test_palette_indices_are_the_classes_and_255_is_void(devkit):
    dataset = VOC(devkit, "train")
    assert dataset.names == ("2007_000032",)
    sample = dataset[0]
    assert sample.target.tolist() == [[0, 1, 20, VOID]]
    assert sample.image.shape == (1, 4, 3)
    assert dataset.label_set.names[1] == "aeroplane"


def test_any_of_the_three_folders_is_found_and_auto_knows_it(devkit):
    for root in (devkit, devkit / "VOCdevkit", folder_of(devkit)):
        opened = open_dataset(root, "trainval")
        assert isinstance(opened, VOC)
        assert len(opened) == 2


def test_errors_say_what_is_wrong(devkit):
    with pytest.raises(DataError, match=r"no VOC in .*: expected VOCdevkit/VOC2012/"):
        VOC(devkit / "nowhere", "train")
    with pytest.raises(DataError, match=r"no VOC split 'val': .*val\.txt does not exist; lists there: train, trainval"):
        VOC(devkit, "val")
    lists = folder_of(devkit) / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"split 'val': .*val\.txt is empty"):
        VOC(devkit, "val")
    (lists / "val.txt").write_text("2007_000033\n")
    with pytest.raises(DataError, match=r"JPEGImages/2007_000033\.jpg is missing; .*val\.txt names it$"):
        VOC(devkit, "val")
    (folder_of(devkit) / "SegmentationClass" / "2007_000039.png").unlink()
    (lists / "test.txt").write_text("2007_000039\n")
    with pytest.raises(DataError, match="does not publish the labels of its test split, use val"):
        VOC(devkit, "test")


def test_ids_and_colours_that_are_none_are_named(devkit):
    path = folder_of(devkit) / "SegmentationClass" / "2007_000032.png"
    Image.fromarray(np.array([[21, 0, 0, 21]], np.uint8)).save(path)
    with pytest.raises(LabelError, match=r"unknown class id 21 \(2 pixels\); known: 0\.\.20, 255"):
        VOC(devkit, "train")[0]
    Image.fromarray(np.zeros((1, 4, 3), np.uint8)).save(path)
    with pytest.raises(LabelError, match="mode RGB"):
        VOC(devkit, "train")[0]


def test_a_list_may_have_the_mark_that_windows_puts_in_front_and_must_be_utf8(devkit):
    path = folder_of(devkit) / "ImageSets" / "Segmentation" / "train.txt"
    path.write_bytes("\ufeff2007_000032\r\n".encode())
    assert VOC(devkit, "train").names == ("2007_000032",)
    path.write_bytes(b"\xe9\n")
    with pytest.raises(DataError, match=r"train\.txt is not text in UTF-8 \(byte 0\)"):
        VOC(devkit, "train")
