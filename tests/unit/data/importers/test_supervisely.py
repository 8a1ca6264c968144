"""Supervisely's project layout."""

import base64
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from importer_files import save_image, save_json
from PIL import Image

from segnet.data.importers.supervisely import read_supervisely
from segnet.errors import DataError, LabelError, SegNetError

Read = Callable[..., Any]
META = {
    "classes": [
        {"title": "car", "shape": "polygon", "color": "#FF0080", "geometry_config": {}},
        {"title": "tree", "shape": "bitmap", "color": "#00FF00"},
    ],
    "tags": [{"name": "day", "value_type": "none"}],
}


def obj(title: str, kind: str, **geometry: Any) -> dict[str, Any]:
    return {"id": 1, "classTitle": title, "geometryType": kind, "tags": [], **geometry}


def polygon(exterior: Any, *interior: Any) -> dict[str, Any]:
    return obj("car", "polygon", points={"exterior": exterior, "interior": list(interior)})


def bitmap(mask: np.ndarray, origin: list[int], mode: str) -> dict[str, Any]:
    data = io.BytesIO()
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    if mode == "RGBA":
        image = Image.merge("RGBA", [Image.new("L", image.size, 255)] * 3 + [image])
    image.save(data, "PNG")
    text = base64.b64encode(zlib.compress(data.getvalue())).decode()
    return obj("tree", "bitmap", bitmap={"data": text, "origin": origin}, points={"exterior": [], "interior": []})


def save(root: Path, objects: Any, *, dataset: str = "ds0", annotation: str = "x.png.json") -> Path:
    save_json(root / "meta.json", META)
    save_image(root / dataset / "img" / "x.png", (4, 6))
    record = {"description": "", "tags": [], "size": {"height": 4, "width": 6}, "objects": objects}
    save_json(root / dataset / "ann" / annotation, record)
    return root


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_polygons_with_holes_bitmaps_and_rectangles_in_the_order_of_the_file(
    mode: str, read: Read, tmp_path: Path
) -> None:
    square, hole = [[0, 0], [4, 0], [4, 4], [0, 4]], [[1, 1], [3, 1], [3, 3], [1, 3]]
    objects = [
        polygon(square, hole),
        bitmap(np.eye(2, dtype=bool), [4, 2], mode),
        obj("tree", "rectangle", points={"exterior": [[5, 0], [5, 1]], "interior": []}),
        obj("car", "line", points={"exterior": [[0, 0], [1, 1]], "interior": []}),
    ]
    source = read(read_supervisely, save(tmp_path, objects))
    assert source.images[0].target.tolist() == [
        [1, 1, 1, 1, 0, 2], [1, 0, 0, 1, 0, 2], [1, 0, 0, 1, 2, 0], [1, 1, 1, 1, 0, 2],
    ]  # fmt: skip
    assert source.images.label_set.colours[1:] == ((255, 0, 128), (0, 255, 0))
    assert source.notes == ("1 objects of kind 'line' enclose nothing and are left out",)


def test_datasets_called_train_and_val_are_splits_and_old_names_of_annotations_are_found(
    read: Read, tmp_path: Path
) -> None:
    save(tmp_path, [], dataset="train")
    save(tmp_path, [], dataset="val", annotation="x.json")
    assert read(read_supervisely, tmp_path).splits == {"train": ("train_img_x",), "val": ("val_img_x",)}


@pytest.mark.parametrize(
    ("objects", "error", "words"),
    [
        ([polygon([[0, 0], [1, 1]])], LabelError, r"x\.png\.json: object 0 is a polygon of 2 points"),
        ([obj("bus", "polygon")], LabelError, "unknown class 'bus'; known: car, tree"),
        ([obj("tree", "bitmap", bitmap={"data": "AAAA", "origin": [0, 0]})], LabelError, "bitmap that cannot be read"),
        ([obj("tree", "bitmap")], LabelError, "a bitmap without one"),
        ([{"classTitle": "car"}], DataError, "object 0 cannot be used: geometryType"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_names_file_and_object(
    objects: Any, error: type[SegNetError], words: str, read: Read, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read(read_supervisely, save(tmp_path, objects))
