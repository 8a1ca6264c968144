"""YOLO segmentation, in the nestings of Ultralytics, Roboflow and Label Studio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importer_files import save_image, save_text

from segnet.data.importers.yolo import read_yolo
from segnet.errors import DataError, LabelError

Read = Callable[..., Any]
SQUARE = "1 0.0 0.0 0.5 0.0 0.5 0.5 0.0 0.5"  # the upper left quarter
DATA_YAML = "path: ../datasets/mine  # root\ntrain: images/train\nval: images/val\nnames:\n  0: car\n  1: road sign\n"


def ultralytics(root: Path) -> Path:
    save_image(root / "images" / "train" / "a.jpg")
    save_image(root / "images" / "val" / "b.jpg")
    save_text(root / "labels" / "train" / "a.txt", f"{SQUARE}\n")
    save_text(root / "data.yaml", DATA_YAML)
    return root


def test_polygons_are_shares_of_the_image_and_folders_are_splits(read: Read, tmp_path: Path) -> None:
    source = read(read_yolo, ultralytics(tmp_path))
    assert source.images.label_set.names == ("background", "car", "road sign")
    assert source.images[0].target.tolist() == [[2, 2, 2, 0, 0, 0]] * 2 + [[0] * 6] * 2
    assert source.splits == {"train": ("train_a",), "val": ("val_b",)}
    save_text(tmp_path / "labels" / "train" / "a.txt", SQUARE.replace("1", "1.0", 1))  # as some scripts write numbers
    assert read(read_yolo, tmp_path).images[0].target.tolist() == source.images[0].target.tolist()
    assert source.notes == ("1 images have no text file of objects and count as images without any",)


@pytest.mark.parametrize("names", ["['car', 'road sign']", "\n- car\n- road sign", '\n  0: "car"\n  1: road sign'])
def test_roboflow_nests_splits_outside_and_writes_names_as_a_list(names: str, read: Read, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        save_image(tmp_path / split / "images" / f"{split}_jpg.rf.0123.jpg")
        save_text(tmp_path / split / "labels" / f"{split}_jpg.rf.0123.txt", SQUARE)
    roboflow = "\n\nroboflow:\n  workspace: w\n  version: 1\n"
    save_text(
        tmp_path / "data.yaml", f"train: ../train/images\nval: ../valid/images\n\nnc: 2\nnames: {names}{roboflow}"
    )
    source = read(read_yolo, tmp_path)
    assert source.images.label_set.names == ("background", "car", "road sign")
    assert [len(names) for names in source.splits.values()] == [1, 1]
    assert sorted(source.splits) == ["train", "val"]


def test_label_studio_names_the_classes_in_a_text_file(read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / "images" / "a.png")
    save_text(tmp_path / "labels" / "a.txt", SQUARE)
    save_text(tmp_path / "classes.txt", "car\nroad sign\n")
    assert read(read_yolo, tmp_path).images[0].target.max() == 2


def test_small_objects_are_drawn_over_large_ones(read: Read, tmp_path: Path) -> None:
    root = ultralytics(tmp_path)
    whole = "0 0 0 1 0 1 1 0 1"
    save_text(root / "labels" / "train" / "a.txt", f"{SQUARE}\n{whole}\n")
    assert read(read_yolo, root).images[0].target.tolist() == [[2, 2, 2, 1, 1, 1]] * 2 + [[1] * 6] * 2
    assert (read(read_yolo, root, order="file").images[0].target == 1).all()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.2 0.2", r"a\.txt, line 1 is a box, not a polygon; export the dataset for segmentation"),
        ("0 0 0 1 1 0.5", "has 5 coordinates; expected x and y of at least three corners"),
        ("2 0 0 1 0 1 1", "has the unknown class 2; known: 0 to 1"),
        ("car 0 0 1 0 1 1", "expected a class number and x, y of each corner"),
        ("0 0 0 nan 0 1 1", "coordinates outside 0..1"),
        ("0 0 0 320 0 320 240", "coordinates outside 0..1; expected shares"),
    ],
)
def test_a_line_that_cannot_be_used_names_file_and_line(line: str, words: str, read: Read, tmp_path: Path) -> None:
    save_text(ultralytics(tmp_path) / "labels" / "train" / "a.txt", line)
    with pytest.raises(LabelError, match=words):
        read(read_yolo, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names: [car", r"data\.yaml cannot be read as YAML"),
        ("- car", "holds no mapping"),
        ("names: 5", "`names` is 5; expected a list of names"),
        ("nc: 2", "names no classes; expected data.yaml with `names`"),
        ("names: !!python/object/apply:os.system ['true']", "cannot be read as YAML"),
    ],
)
def test_class_names_that_cannot_be_read(text: str, words: str, read: Read, tmp_path: Path) -> None:
    save_text(ultralytics(tmp_path) / "data.yaml", text)
    with pytest.raises(DataError, match=words):
        read(read_yolo, tmp_path)
