"""The formats whose labels are images: VOC's layout, colours, and Cityscapes by ids or by polygons."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.folder import Folder
from segnet.data.importers import import_dataset
from segnet.data.importers.cityscapes import read_cityscapes
from segnet.data.importers.colours import read_colours
from segnet.data.importers.voc import read_voc
from segnet.data.reading.colour_table import read_colour_table
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import CITYSCAPES_19, VOC_21, VOID

Read = Callable[..., Any]

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def save(path: Path, pixels: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def voc(root: Path, pixels: object) -> Path:
    save(root / "JPEGImages" / "x.jpg", np.zeros((1, 3, 3)))
    save(root / "SegmentationClass" / "x.png", pixels)
    return root


def test_voc_itself_has_its_21_classes_and_its_lists(read: Read, tmp_path: Path) -> None:
    voc(tmp_path / "VOCdevkit" / "VOC2012", [[0, 20, 255]])
    lists = tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("x\n")
    source = read(read_voc, tmp_path)
    assert source.images.label_set == VOC_21
    assert source.images[0].target.tolist() == [[0, 20, VOID]]
    assert source.splits == {"val": ("x",)}
    (lists / "val.txt").write_text("../x\n")
    with pytest.raises(DataError, match=r"names '\.\./x', which is not the name of an image"):
        read(read_voc, tmp_path)


def test_the_layout_as_labelme_writes_it(read: Read, tmp_path: Path) -> None:
    (voc(tmp_path, [[0, 1, 255]]) / "class_names.txt").write_text("__ignore__\n_background_\ncar\n")
    data = read(read_voc, tmp_path).images
    assert data.label_set.names == ("background", "car")
    assert data[0].target.tolist() == [[0, 1, VOID]]
    save(tmp_path / "SegmentationClass" / "x.png", [[0, 2, 2]])
    with pytest.raises(LabelError, match=r"x\.png: unknown class id 2 \(2 pixels\)"):
        read(read_voc, tmp_path).images[0]


def test_the_layout_as_cvat_writes_it(read: Read, tmp_path: Path) -> None:
    voc(tmp_path, [[BLACK, RED, BLUE]])
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:255,0,0::\nvoid:0,0,255::"
    )
    data = read(read_voc, tmp_path).images
    assert data.label_set.names == ("background", "car")
    assert data[0].target.tolist() == [[0, 1, VOID]]
    save(tmp_path / "SegmentationClass" / "x.png", [[BLACK, (1, 2, 3), (1, 2, 3)]])
    with pytest.raises(LabelError, match=r"x\.png: unknown colour \(1, 2, 3\) \(2 pixels\)"):
        read(read_voc, tmp_path).images[0]


def voc_lists(root: Path, **lists: str) -> Path:
    """The layout with images `x` and `my photo`, and lists of those words."""
    for name in ("x", "my photo"):
        save(root / "JPEGImages" / f"{name}.jpg", np.zeros((1, 1, 3)))
        save(root / "SegmentationClass" / f"{name}.png", [[0]])
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, text in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_bytes(text.encode("latin-1"))
    return root


def test_a_list_of_voc_has_one_name_a_line_with_its_spaces(read: Read, tmp_path: Path) -> None:
    voc_lists(tmp_path / "src", train="\xef\xbb\xbfmy photo\r\n", val=" x \n\n")
    assert read(read_voc, tmp_path / "src").splits == {"train": ("my photo",), "val": ("x",)}
    import_dataset(tmp_path / "src", tmp_path / "out", data_format="voc")
    assert Folder(tmp_path / "out", "train").names == ("my photo",)


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"train": "x\nmy photo\nx\n"}, r"Segmentation/train\.txt names 'x' twice; leave one out"),
        ({"train": "x\n", "val": "x\n"}, r"val\.txt names 'x', which .*train\.txt names too; leave it out of one"),
        ({"train": "fa\xe7ade\n"}, r"train\.txt is not text in UTF-8 \(byte 2\)"),
    ],
)
def test_lists_of_voc_that_cannot_be(read: Read, lists: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read(read_voc, voc_lists(tmp_path, **lists))


def test_an_empty_list_of_voc_counts_as_not_there_which_is_said(read: Read, tmp_path: Path) -> None:
    source = read(read_voc, voc_lists(tmp_path, train="x\n", val="\n"))
    assert (source.splits, source.images.names) == ({"train": ("x",)}, ("x",))
    assert source.notes == (f"{tmp_path / 'ImageSets/Segmentation/val.txt'} is empty and counts as not there",)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("")
    assert read(read_voc, tmp_path).images.names == ("my photo", "x")


def test_an_image_or_a_layout_that_is_missing(read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no VOC in"):
        read(read_voc, tmp_path)
    voc(tmp_path, [[0, 0, 0]])
    (tmp_path / "JPEGImages" / "x.jpg").unlink()
    with pytest.raises(DataError, match=r"x\.jpg is missing"):
        read(read_voc, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "name, r, g, b\ncar, 255, 0, 0\nVoid,0,0,0\n",
        "255 0 0\tcar\n0 0 0 Void\n",
        "# comment\ncar:255,0,0::\nVoid:0,0,0::\n",
    ],
)
def test_tables_of_colours(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text)
    assert read_colour_table(tmp_path / "t").colours == {RED: "car", BLACK: "Void"}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("car,255,0", LabelError, "line 1 is 'car,255,0'; expected a name and a colour"),
        ("car,255,0,0\nbus,256,0,0", LabelError, "line 2"),
        ("car,255,0,0\ncar,0,0,1", LabelError, "'car' is there twice"),
        ("255 0 0", LabelError, "line 1"),
        ("\n", DataError, "names no class"),
    ],
)
def test_tables_that_cannot_be(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(error, match=words):
        read_colour_table(tmp_path / "t")


def test_colours_with_their_table(read: Read, tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.png", np.zeros((1, 3, 3)))
    save(tmp_path / "labels" / "x_L.png", [[RED, BLACK, BLUE]])
    with pytest.raises(DataError, match=r"no table of colours in .*; expected classes\.csv or"):
        read(read_colours, tmp_path)
    (tmp_path / "classes.csv").write_text("car,255,0,0\nvoid,0,0,0\nroad,0,0,255\n")
    source = read(read_colours, tmp_path)
    assert source.images.label_set.names == ("car", "road")
    assert source.images[0].target.tolist() == [[0, VOID, 1]]
    (tmp_path / "labels" / "x_L.png").unlink()
    with pytest.raises(DataError, match=r"images/x\.png has no labels; expected .*labels/x\.png"):
        read(read_colours, tmp_path)


def test_colours_in_folders_of_splits(read: Read, tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / split / f"{split}0.png", np.zeros((1, 1, 3)))
        save(tmp_path / f"{split}_labels" / f"{split}0.png", [[RED]])
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\ncar,255,0,0\n")
    assert read(read_colours, tmp_path).splits == {"train": ("train_train0",), "val": ("val_val0",)}


def cityscapes(root: Path) -> tuple[Path, Path]:
    """Folder of an image of 2x3, and the beginning of its label files' path."""
    save(root / "leftImg8bit" / "val" / "aachen" / "x_leftImg8bit.png", np.zeros((2, 3, 3)))
    (root / "gtFine" / "val" / "aachen").mkdir(parents=True)
    return root, root / "gtFine" / "val" / "aachen"


def test_cityscapes_by_ids(read: Read, tmp_path: Path) -> None:
    root, labels = cityscapes(tmp_path)
    save(labels / "x_gtFine_labelIds.png", [[7, 0, 33], [26, 255, 3]])
    source = read(read_cityscapes, root)
    assert source.images.label_set == CITYSCAPES_19
    assert source.images[0].target.tolist() == [[0, VOID, 18], [13, VOID, VOID]]
    assert source.splits == {"val": ("x",)}


@pytest.mark.parametrize("ending", ["labelIds.png", "polygons.json"])
def test_cities_that_count_from_one_keep_their_images_and_splits_apart(ending: str, tmp_path: Path) -> None:
    src = tmp_path / "src"
    for grey, place in enumerate(("train/a", "train/b", "val/a")):
        save(src / "leftImg8bit" / place / "0001_leftImg8bit.png", np.full((1, 1, 3), grey))
        save(src / "gtFine" / place / "0001_gtFine_labelIds.png", [[7]])
        if ending == "polygons.json":
            (src / "gtFine" / place / "0001_gtFine_labelIds.png").unlink()
            text = json.dumps({"imgHeight": 1, "imgWidth": 1, "objects": []})
            (src / "gtFine" / place / f"0001_gtFine_{ending}").write_text(text)
    assert import_dataset(src, tmp_path / "out", data_format="cityscapes")[0].startswith("3 images in ")
    train, val = (Folder(tmp_path / "out", split) for split in ("train", "val"))
    assert (train.names, val.names) == (("train_a_0001", "train_b_0001"), ("val_a_0001",))
    assert [int(sample.image[0, 0, 0]) for sample in (train[0], train[1], val[0])] == [0, 1, 2]


def test_cityscapes_by_polygons(read: Read, tmp_path: Path) -> None:
    root, labels = cityscapes(tmp_path)
    objects = [
        {"label": "road", "polygon": [[0, 0], [2, 0], [2, 2], [0, 2]]},
        {"label": "cargroup", "polygon": [[1, 0], [2, 0], [2, 1], [1, 1]]},
        {"label": "static", "polygon": [[0, 1], [1, 1], [1, 2], [0, 2]]},
        {"label": "sky", "polygon": [[0, 0], [3, 0], [3, 2]], "deleted": 1},
    ]
    path = labels / "x_gtFine_polygons.json"
    path.write_text(json.dumps({"imgHeight": 2, "imgWidth": 3, "objects": objects}))
    assert read(read_cityscapes, root).images[0].target.tolist() == [[0, 13, VOID], [VOID, 0, VOID]]
    for objects, words in (
        ([{"label": "cat", "polygon": [[0, 0]] * 3}], r"polygons\.json: object 0 \('cat'\) has a label that"),
        ([{"label": "car", "polygon": [[0, 0]] * 2}], "polygon of 2 points"),
    ):
        path.write_text(json.dumps({"imgHeight": 2, "imgWidth": 3, "objects": objects}))
        with pytest.raises(LabelError, match=words):
            read(read_cityscapes, root)
    path.write_text(json.dumps({"imgHeight": 9, "imgWidth": 3, "objects": []}))
    with pytest.raises(ShapeError, match=r"says \(9, 3\)"):
        read(read_cityscapes, root).images[0]
    path.unlink()
    with pytest.raises(DataError, match=r"x_gtFine_polygons\.json cannot be read"):
        read(read_cityscapes, root)
