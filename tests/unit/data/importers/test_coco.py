import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.importers.coco import read_coco
from segnet.errors import DataError, LabelError, SegNetError

Read = Callable[..., Any]

SQUARE = [0, 0, 2, 0, 2, 2, 0, 2]


def record(**changes: Any) -> dict[str, Any]:
    """One image of 3x4 with a car in its corner."""
    return {
        "images": [{"id": 7, "file_name": "x.png", "height": 3, "width": 4}],
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "boat"}],
        "annotations": [annotation([SQUARE])],
    } | changes


def annotation(segmentation: Any, **changes: Any) -> dict[str, Any]:
    return {"id": 5, "image_id": 7, "category_id": 3, "segmentation": segmentation} | changes


def save(root: Path, content: dict[str, Any], file: str = "labels.json", image: str = "images/x.png") -> Path:
    for path in (root / file, root / image):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(root / image)
    (root / file).write_text(json.dumps(content))
    return root


def target_of(read: Read, root: Path, segmentation: Any) -> list[list[int]]:
    data = read(read_coco, save(root, record(annotations=[annotation(segmentation)])), "background").images
    target: list[list[int]] = data[0].target.tolist()
    return target


def test_polygons_of_several_parts_and_classes_in_the_order_of_the_file(read: Read, tmp_path: Path) -> None:
    parts = [SQUARE, [3, 2, 4, 2, 4, 3, 3, 3]]
    assert target_of(read, tmp_path, parts) == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
    assert read(read_coco, tmp_path, "background").images.label_set.names == ("background", "car", "boat")


def test_run_lengths_as_numbers_and_packed(read: Read, tmp_path: Path) -> None:
    expected = [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert target_of(read, tmp_path, {"size": [3, 4], "counts": [3, 2, 1, 3, 2, 1]}) == expected
    assert target_of(read, tmp_path, {"size": [3, 4], "counts": "32111N"}) == expected


def test_the_mark_that_windows_puts_in_front_is_no_json(read: Read, tmp_path: Path) -> None:
    path = save(tmp_path, record()) / "labels.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(read_coco, tmp_path, "background").images[0].target.sum() == 4


def test_a_later_annotation_covers_an_earlier_one(read: Read, tmp_path: Path) -> None:
    both = [annotation([SQUARE]), annotation([[1, 0, 4, 0, 4, 1, 1, 1]], category_id=1)]
    data = read(read_coco, save(tmp_path, record(annotations=both)), "void").images
    assert data[0].target.tolist() == [[0, 1, 1, 1], [0, 0, 255, 255], [255] * 4]
    assert data.overlapping == {"x": 1}


def test_an_image_without_objects_is_all_rest(read: Read, tmp_path: Path) -> None:
    assert read(read_coco, save(tmp_path, record(annotations=[])), "background").images[0].target.sum() == 0


def test_several_files_are_splits_by_their_names_and_their_categories_meet_by_name(read: Read, tmp_path: Path) -> None:
    save(tmp_path, record(), "annotations/instances_train2017.json", "train2017/x.png")
    other = record(
        images=[{"id": 7, "file_name": "y.png", "height": 3, "width": 4}], categories=[{"id": 3, "name": "boat"}]
    )
    save(tmp_path, other, "annotations/instances_val2017.json", "val2017/y.png")
    source = read(read_coco, tmp_path, "background")
    assert source.splits == {"train": ("train2017_x",), "val": ("val2017_y",)}
    assert [source.images[i].target[0, 0] for i in (0, 1)] == [1, 2]
    alone = read(read_coco, tmp_path / "annotations" / "instances_val2017.json", "background")
    assert (alone.images.names, alone.splits) == (("y",), {})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"annotations": [annotation([SQUARE], category_id=9)]}, LabelError, r"s\.json: annotation 5 .* 9; known: 3"),
        ({"annotations": [annotation([SQUARE], image_id=9)]}, DataError, r"labels\.json: annotation 5 is of image 9"),
        ({"annotations": [annotation([[0, 0, 1, 1]])]}, LabelError, "polygon of 4 numbers; expected x and y"),
        ({"annotations": [annotation([])]}, LabelError, "annotation 5 has no outline, only a box"),
        ({"annotations": [annotation({"size": [4, 3], "counts": [12]})]}, LabelError, r"mask of \(4, 3\)"),
        ({"annotations": [annotation({"size": [3, 4], "counts": [5]})]}, LabelError, "read: run lengths of 5"),
        ({"annotations": [annotation({"size": [3, 4], "counts": "\u00fc"})]}, LabelError, "character 'ü'"),
        ({"annotations": [annotation([[0, 0, "a", 1, 1, 1]])]}, DataError, "5 cannot be used: segmentation"),
        ({"categories": None}, DataError, r"labels\.json is not a COCO file of objects: it has no categories"),
        ({"images": []}, DataError, "annotation 5 is of image 7, which the file does not have"),
        ({"images": [{"id": 7, "file_name": "../z.png", "height": 3, "width": 4}]}, DataError, "none of that name"),
        ({"images": [{"id": 7, "file_name": "z.png", "height": 3, "width": 4}]}, DataError, "z.png', but there is no"),
    ],
)  # fmt: skip
def test_what_cannot_be_names_the_file(
    read: Read, tmp_path: Path, changes: Any, error: type[SegNetError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(read_coco, save(tmp_path, record(**changes)), "background")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"categories": [{"id": 3, "name": "car"}, {"id": 3, "name": "boat"}]},
            r"labels\.json: category 3 is 'car' and 'boat'; give each an id of its own",
        ),
        (
            {"images": [{"id": 7, "file_name": f"{n}.png", "height": 3, "width": 4} for n in "xy"]},
            r"labels\.json: image 7 is 'x\.png' and 'y\.png'",
        ),
        (
            {"images": [{"id": 7, "file_name": "x.png", "height": height, "width": 4} for height in (3, 5)]},
            r"labels\.json: the size of image 7 is \(3, 4\) and \(5, 4\)",
        ),
    ],
)
def test_one_id_for_two_names_both(read: Read, tmp_path: Path, changes: Any, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        read(read_coco, save(tmp_path, record(**changes)), "background")


def test_what_is_there_twice_alike_counts_once(read: Read, tmp_path: Path) -> None:
    twice = {key: 2 * record()[key] for key in ("images", "categories")}
    data = read(read_coco, save(tmp_path, record(**twice)), "background").images
    assert (data.names, data.label_set.names) == (("x",), ("background", "car", "boat"))


def test_two_images_of_one_name_are_told_apart_or_refused(read: Read, tmp_path: Path) -> None:
    save(tmp_path, record(), image="a/x.png")
    save(tmp_path, record(), image="b/x.png")
    with pytest.raises(DataError, match=r"a/x\.png or .*b/x\.png"):
        read(read_coco, tmp_path, "background")
