import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.importers.labelme import read_labelme
from segnet.errors import DataError, LabelError, SegNetError, ShapeError
from segnet.labels import VOID

Read = Callable[..., Any]

SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]


def save(root: Path, name: str, shapes: list[dict[str, Any]] | None, **changes: Any) -> None:
    root.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / f"{name}.png")
    record = {"shapes": shapes, "imagePath": f"{name}.png", "imageHeight": 4, "imageWidth": 6, "imageData": None}
    (root / f"{name}.json").write_text(json.dumps(record | changes))


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def test_later_shapes_cover_earlier_ones_and_the_rest_is_a_class_of_its_own(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", [[0, 0], [4, 0], [4, 4], [0, 4]]), shape("boat", SQUARE)])
    data = read(read_labelme, tmp_path, "background").images
    assert data.label_set.name == "mine"
    assert data.label_set.names == ("background", "boat", "car")
    assert data[0].target.tolist() == [[1, 1, 2, 2, 0, 0]] * 2 + [[2, 2, 2, 2, 0, 0]] * 2
    assert data.overlapping == {"x": 4}


def test_the_rest_may_be_void_or_a_class_that_has_shapes(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", SQUARE), shape("__ignore__", [[2, 0], [6, 0], [6, 2], [2, 2]])])
    data = read(read_labelme, tmp_path, "void").images
    assert data.label_set.names == ("car",)
    assert data[0].target.tolist() == [[0, 0, VOID, VOID, VOID, VOID]] * 2 + [[VOID] * 6] * 2
    data = read(read_labelme, tmp_path, "car").images
    assert data[0].target.tolist() == [[0, 0, VOID, VOID, VOID, VOID]] * 2 + [[0] * 6] * 2


def test_rectangles_circles_and_masks_count_and_lines_are_said_to_be_left_out(read: Read, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[255, 0], [0, 255]], np.uint8)).save(file, format="png")
    mask = base64.b64encode(file.getvalue()).decode()
    save(
        tmp_path,
        "x",
        [
            shape("a", [[6, 1], [5, 0]], "rectangle"),
            shape("b", [[1, 1], [1, 0.1]], "circle"),
            shape("c", [[3, 2], [5, 4]], "mask", mask=mask),
            shape("d", [[0, 0], [5, 3]], "line"),
        ],
    )
    source = read(read_labelme, tmp_path, "void")
    assert source.images.label_set.names == ("a", "b", "c")
    assert source.images[0].target.tolist() == [
        [1, 1, VOID, VOID, VOID, 0],
        [1, 1, VOID, VOID, VOID, VOID],
        [VOID, VOID, VOID, 2, VOID, VOID],
        [VOID, VOID, VOID, VOID, 2, VOID],
    ]
    assert source.notes == ("1 shapes of kind 'line' enclose nothing and are left out",)


def test_images_in_other_folders_and_with_backslashes_are_found(read: Read, tmp_path: Path) -> None:
    save(tmp_path / "images", "x", [])
    (tmp_path / "json").mkdir()
    record = json.loads((tmp_path / "images" / "x.json").read_text())
    (tmp_path / "images" / "x.json").unlink()
    for path in ("..\\images\\x.png", "C:\\Users\\me\\x.png", "../images/x.png"):
        (tmp_path / "json" / "x.json").write_text(json.dumps(record | {"imagePath": path}))
        data = read(read_labelme, tmp_path, "background").images
        assert [e.image.path for e in data.entries] == [tmp_path / "images" / "x.png"]


def test_images_that_nobody_labelled_are_counted(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("a", SQUARE)])
    save(tmp_path, "y", [])
    (tmp_path / "y.json").unlink()
    assert read(read_labelme, tmp_path, "void").notes == ("1 images beside them have no JSON file and are left out",)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"shapes": [shape("a", [[0, 0], [1, 1]])]}, LabelError, r"x\.json: shape 0 \('a'\) is a polygon of 2 points"),
        ({"shapes": [shape("a", [[0, 0]], "circle")]}, LabelError, "circle of 1 points; expected two"),
        ({"shapes": [shape("a", SQUARE, "spline")]}, LabelError, "unknown kind 'spline'"),
        ({"shapes": [shape("a", SQUARE[:2], "mask", mask="iVBO")]}, LabelError, "mask that cannot be read"),
        ({"shapes": [shape(" ", SQUARE)]}, DataError, r"x\.json: shape 0 cannot be used: label"),
        ({"shapes": [shape("a", [[0, "b"]])]}, DataError, r"shape 0 cannot be used: points\.0\.1"),
        ({"shapes": None}, DataError, "is not a LabelMe file: shapes"),
        (
            {"imagePath": "../../secret.png"},
            DataError,
            r"x\.json names the image '../../secret\.png', but there is none",
        ),
        ({"imagePath": "/etc/secret.png"}, DataError, "none of that name below"),
        ({"imagePath": "y.png"}, DataError, r"x\.json names the image 'y\.png', but there is none"),
    ],
)
def test_what_cannot_be_names_the_file(
    read: Read, tmp_path: Path, changes: Any, error: type[SegNetError], words: str
) -> None:
    save(tmp_path, "x", **({"shapes": []} | changes))
    with pytest.raises(error, match=words):
        read(read_labelme, tmp_path, "background")


def test_an_image_of_another_size_is_refused_with_both_sizes(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("a", SQUARE)], imageHeight=6, imageWidth=4)
    data = read(read_labelme, tmp_path, "background").images
    with pytest.raises(ShapeError, match=r"x\.json says \(6, 4\) .*x\.png, which is \(4, 6\) \(it may be turned"):
        data[0]


def test_no_json_and_broken_json(read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no JSON file in"):
        read(read_labelme, tmp_path, "background")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json is not a LabelMe file: Invalid JSON"):
        read(read_labelme, tmp_path, "background")


def test_the_mark_that_windows_puts_in_front_is_no_json(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", SQUARE)])
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "x.json").read_bytes())
    assert read(read_labelme, tmp_path, "background").images[0].target.sum() == 4
