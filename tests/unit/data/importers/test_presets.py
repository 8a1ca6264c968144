"""Published datasets in their own layouts: COCO panoptic, ADE20K, Mapillary Vistas, KITTI."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importer_files import save_image, save_json, save_mask, save_text

from segnet.data.importers.ade20k import read_ade20k
from segnet.data.importers.coco_panoptic import read_coco_panoptic
from segnet.data.importers.kitti import read_kitti
from segnet.data.importers.mapillary import read_mapillary
from segnet.errors import DataError, LabelError
from segnet.labels import CITYSCAPES_19, VOID

Read = Callable[..., Any]


def panoptic(root: Path, **changes: Any) -> Path:
    """One image of 1x4: ignored, two cars of id 3 and 65793, and sky."""
    annotation = {
        "image_id": 9, "file_name": "000009.png",
        "segments_info": [
            {"id": 3, "category_id": 3, "iscrowd": 0, "bbox": [1, 0, 1, 1], "area": 1},
            {"id": 1 + 256 + 65536, "category_id": 3, "iscrowd": 0, "bbox": [2, 0, 1, 1], "area": 1},
            {"id": 512, "category_id": 187, "iscrowd": 0, "bbox": [3, 0, 1, 1], "area": 1},
        ],
    }  # fmt: skip
    record = {
        "images": [{"id": 9, "file_name": "000009.jpg", "height": 1, "width": 4}],
        "annotations": [annotation | changes],
        "categories": [
            {"id": 3, "name": "car", "supercategory": "vehicle", "isthing": 1, "color": [0, 0, 142]},
            {"id": 187, "name": "sky-other-merged", "supercategory": "sky", "isthing": 0, "color": [70, 130, 180]},
        ],
    }
    save_json(root / "annotations" / "panoptic_val2017.json", record)
    pixels = [[[0, 0, 0], [3, 0, 0], [1, 1, 1], [0, 2, 0]]]
    save_mask(root / "annotations" / "panoptic_val2017" / "000009.png", pixels)
    save_image(root / "val2017" / "000009.jpg", (1, 4))
    return root


def test_segments_of_one_category_are_one_class_and_0_is_ignored(read: Read, tmp_path: Path) -> None:
    data = read(read_coco_panoptic, panoptic(tmp_path)).images
    assert data[0].target.tolist() == [[VOID, 0, 0, 1]]
    assert data.label_set.names == ("car", "sky-other-merged")
    assert data.label_set.colours == ((0, 0, 142), (70, 130, 180))
    file = tmp_path / "annotations" / "panoptic_val2017.json"
    assert read(read_coco_panoptic, file).images[0].target.tolist() == [[VOID, 0, 0, 1]]


def test_segments_that_cannot_be_used(read: Read, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"annotation 0 has a segment of the unknown category 5"):
        read(read_coco_panoptic, panoptic(tmp_path, segments_info=[{"id": 1, "category_id": 5}]))
    with pytest.raises(LabelError, match=r"000009\.png: unknown colour \(1, 1, 1\) \(1 pixel\), \(3, 0, 0\)"):
        read(read_coco_panoptic, panoptic(tmp_path, segments_info=[{"id": 512, "category_id": 3}])).images[0]
    with pytest.raises(DataError, match="annotation 0 is of image 8, which the file does not have"):
        read(read_coco_panoptic, panoptic(tmp_path, image_id=8))


def ade20k(root: Path) -> Path:
    for split in ("training", "validation"):
        save_image(root / "images" / split / f"ADE_{split}_1.jpg", (1, 4))
        save_mask(root / "annotations" / split / f"ADE_{split}_1.png", [[0, 1, 2, 150]])
    return root


def test_ade20k_with_the_names_of_its_list(read: Read, tmp_path: Path) -> None:
    lines = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1576\t11664\t1172\t1\twall\n"
    lines += "2\t0.1072\t6046\t612\t1\tbuilding, edifice\n"
    lines += "3\t0.0\t1\t1\t0\tscreen, silver screen\n4\t0.0\t1\t1\t0\tscreen, CRT screen\n"
    save_text(ade20k(tmp_path) / "objectInfo150.txt", lines)
    source = read(read_ade20k, tmp_path)
    names = source.images.label_set.names
    assert names[:5] == ("wall", "building", "screen, silver screen", "screen, CRT screen", "class-5")
    assert len(names) == 150
    assert source.images[0].target.tolist() == [[VOID, 0, 1, 149]]
    assert source.splits == {"train": ("training_ADE_training_1",), "val": ("validation_ADE_validation_1",)}


def test_ade20k_without_its_list(read: Read, tmp_path: Path) -> None:
    source = read(read_ade20k, ade20k(tmp_path))
    assert source.images.label_set.names[0] == "class-1"
    assert source.notes == ("no objectInfo150.txt, so the classes are called class-1 to class-150",)


@pytest.mark.parametrize(("config", "labels"), [("config.json", "labels"), ("config_v1.2.json", "v1.2/labels")])
def test_mapillary_ignores_what_the_benchmark_does_not_evaluate(
    config: str, labels: str, read: Read, tmp_path: Path
) -> None:
    entries = [("Bird", True, [165, 42, 42]), ("Road", True, [128, 64, 128]), ("Unlabeled", False, [0, 0, 0])]
    record = [{"name": f"x--{n}", "readable": n, "evaluate": e, "instances": False, "color": c} for n, e, c in entries]
    save_json(tmp_path / config, {"labels": record, "version": 1.1, "mapping": "public"})
    save_image(tmp_path / "training" / "images" / "a.jpg", (1, 3))
    save_mask(tmp_path / "training" / labels / "a.png", [[0, 2, 1]])
    source = read(read_mapillary, tmp_path)
    assert source.images[0].target.tolist() == [[0, VOID, 1]]
    assert source.images.label_set.names == ("Bird", "Road")
    assert source.splits == {"train": ("a",)}


def test_kitti_has_the_label_ids_of_cityscapes(read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / "training" / "image_2" / "000000_10.png", (1, 3))
    save_mask(tmp_path / "training" / "semantic" / "000000_10.png", [[7, 26, 4]])
    data = read(read_kitti, tmp_path).images
    assert data[0].target.tolist() == [[0, 13, VOID]]
    assert data.label_set == CITYSCAPES_19


@pytest.mark.parametrize("reader", [read_ade20k, read_kitti, read_mapillary])
def test_another_layout_is_refused(reader: Any, read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected "):
        read(reader, tmp_path)
