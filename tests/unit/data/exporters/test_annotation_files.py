import json
from pathlib import Path

import numpy as np
import pytest

from segnet.data.exporters.annotation_files import write_coco, write_labelme
from segnet.data.sample import Sample
from segnet.errors import DataError
from segnet.labels import VOID, LabelSet


class One:
    """One image of 2x3: a car beside two void pixels, on a road."""

    label_set = LabelSet("two", ("road", "car"), ((1, 0, 0), (2, 0, 0)))
    names = ("x",)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, VOID], [0, 0, VOID]], np.uint8), "x")


def test_labelme_has_a_polygon_for_each_piece(tmp_path: Path) -> None:
    write_labelme(tmp_path / "l", One())
    assert sorted(p.name for p in (tmp_path / "l").iterdir()) == ["x.json", "x.png"]
    record = json.loads((tmp_path / "l" / "x.json").read_text())
    assert (record["imagePath"], record["imageHeight"], record["imageWidth"]) == ("x.png", 2, 3)
    assert [(s["label"], sorted(s["points"])) for s in record["shapes"]] == [
        ("road", [[0, 0], [0, 2], [1, 0], [1, 1], [2, 1], [2, 2]]),
        ("void", [[2, 0], [2, 2], [3, 0], [3, 2]]),
        ("car", [[1, 0], [1, 1], [2, 0], [2, 1]]),
    ]


def test_coco_has_boxes_and_areas_too(tmp_path: Path) -> None:
    write_coco(tmp_path / "c", One())
    record = json.loads((tmp_path / "c" / "annotations.json").read_text())
    assert record["images"] == [{"id": 1, "file_name": "x.png", "height": 2, "width": 3}]
    assert {c["id"]: c["name"] for c in record["categories"]} == {1: "road", 2: "car", 256: "void"}
    assert [(a["category_id"], a["bbox"], a["area"]) for a in record["annotations"]] == [
        (1, [0, 0, 2, 2], 3),
        (256, [2, 0, 1, 2], 2),
        (2, [1, 0, 1, 1], 1),
    ]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for write in (write_labelme, write_coco):
        with pytest.raises(DataError, match="is not empty"):
            write(tmp_path, One())
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
