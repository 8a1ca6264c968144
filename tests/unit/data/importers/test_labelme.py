import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.importers.labelme import read_labelme
from segnet.errors import DataError, LabelError, SegNetError, ShapeError
from segnet.labels import VOID

SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]


def save(root: Path, name: str, shapes: list[dict[str, Any]] | None, **changes: Any) -> None:
    root.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / f"{name}.png")
    record = {"shapes": shapes, "imagePath": f"{name}.png", "imageHeight": 4, "imageWidth": 6, "imageData": None}
    (root / f"{name}.json").write_text(json.dumps(record | changes))


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def test_later_shapes_cover_earlier_ones_and_the_rest_is_a_class_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", [[0, 0], [4, 0], [4, 4], [0, 4]]), shape("boat", SQUARE)])
    data = read_labelme(tmp_path, "background", "mine").images
    assert data.label_set.name == "mine"
    assert data.label_set.names == ("background", "boat", "car")
    assert data[0].target.tolist() == [[1, 1, 2, 2, 0, 0]] * 2 + [[2, 2, 2, 2, 0, 0]] * 2
    assert data.overlapping == {"x": 4}


def test_the_rest_may_be_void_or_a_class_that_has_shapes(tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", SQUARE), shape("__ignore__", [[2, 0], [6, 0], [6, 2], [2, 2]])])
    data = read_labelme(tmp_path, "void", "mine").images
    assert data.label_set.names == ("car",)
    assert data[0].target.tolist() == [[0, 0, VOID, VOID, VOID, VOID]] * 2 + [[VOID] * 6] * 2
    data = read_labelme(tmp_path, "car", "mine").images
    assert data[0].target.tolist() == [[0, 0, VOID, VOID, VOID, VOID]] * 2 + [[0] * 6] * 2


def test_rectangles_circles_and_masks_count_and_lines_are_said_to_be_left_out(tmp_path: Path) -> None:
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
    source = read_labelme(tmp_path, "void", "mine")
    assert source.images.label_set.names == ("a", "b", "c")
    assert source.images[0].target.tolist() == [
        [1, 1, VOID, VOID, VOID, 0],
        [1, 1, VOID, VOID, VOID, VOID],
        [VOID, VOID, VOID, 2, VOID, VOID],
        [VOID, VOID, VOID, VOID, 2, VOID],
    ]
    assert source.notes == ("1 shapes of kind 'line' enclose nothing and are left out",)


def test_images_in_other_folders_and_with_backslashes_are_found(tmp_path: Path) -> None:
    save(tmp_path / "images", "x", [])
    (tmp_path / "json").mkdir()
    record = json.loads((tmp_path / "images" / "x.json").read_text())
    (tmp_path / "images" / "x.json").unlink()
    for path in ("..\\images\\x.png", "C:\\Users\\me\\x.png", "../images/x.png"):
        (tmp_path / "json" / "x.json").write_text(json.dumps(record | {"imagePath": path}))
        assert read_labelme(tmp_path, "background", "mine").images.paths == (tmp_path / "images" / "x.png",)


def test_images_that_nobody_labelled_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("a", SQUARE)])
    save(tmp_path, "y", [])
    (tmp_path / "y.json").unlink()
    assert read_labelme(tmp_path, "void", "mine").notes == ("1 images beside them have no JSON file and are left out",)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"shapes": [shape("a", [[0, 0], [1, 1]])]}, LabelError, r"x\.json: shape 0 \('a'\) is a polygon of 2 points"),
        ({"shapes": [shape("a", [[0, 0]], "circle")]}, LabelError, "circle of 1 points; expected two"),
        ({"shapes": [shape("a", SQUARE, "spline")]}, LabelError, "unknown kind 'spline'"),
        ({"shapes": [shape("a", SQUARE[:2], "mask", mask="iVBO")]}, LabelError, "mask that cannot be read"),
        ({"shapes": [shape(" ", SQUARE)]}, DataError, r"x\.json is not a LabelMe file: shapes\.0\.label"),
        ({"shapes": [shape("a", [[0, "b"]])]}, DataError, r"shapes\.0\.points\.0\.1"),
        ({"shapes": None}, DataError, "is not a LabelMe file: shapes"),
        ({"imagePath": "../../secret.png"}, DataError, r"x\.json names the image '../../secret\.png', which is outs"),
        ({"imagePath": "/etc/secret.png"}, DataError, "outside"),
        ({"imagePath": "y.png"}, DataError, r"x\.json names the image 'y\.png', but there is none"),
    ],
)
def test_what_cannot_be_names_the_file(tmp_path: Path, changes: Any, error: type[SegNetError], words: str) -> None:
    save(tmp_path, "x", **({"shapes": []} | changes))
    with pytest.raises(error, match=words):
        read_labelme(tmp_path, "background", "mine")


def test_an_image_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("a", SQUARE)], imageHeight=6, imageWidth=4)
    data = read_labelme(tmp_path, "background", "mine").images
    with pytest.raises(ShapeError, match=r"x\.json says \(6, 4\) .*x\.png, which is \(4, 6\) \(it may be turned"):
        data[0]


def test_no_json_and_broken_json(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no JSON file in"):
        read_labelme(tmp_path, "background", "mine")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json is not a LabelMe file: Invalid JSON"):
        read_labelme(tmp_path, "background", "mine")


def test_the_mark_that_windows_puts_in_front_is_no_json(tmp_path: Path) -> None:
    save(tmp_path, "x", [shape("car", SQUARE)])
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "x.json").read_bytes())
    assert read_labelme(tmp_path, "background", "mine").images[0].target.sum() == 4
