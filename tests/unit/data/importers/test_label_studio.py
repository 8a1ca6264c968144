"""Label Studio's JSON export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from importer_files import save_image, save_json

from segnet.data.importers.brush import unpack_brush
from segnet.data.importers.label_studio import read_label_studio
from segnet.errors import DataError, LabelError, SegNetError

Read = Callable[..., Any]


def result(kind: str, label: str, **value: Any) -> dict[str, Any]:
    """One region of an image of 4x10."""
    return {
        "id": "a1", "type": kind, "from_name": "label", "to_name": "image", "origin": "manual", "image_rotation": 0,
        "original_width": 10, "original_height": 4, "value": {kind: [label], **value},
    }  # fmt: skip


def task(*results: Any, image: str = "/data/upload/1/0a1b2c3d-x.png", **more: Any) -> dict[str, Any]:
    annotation = {"id": 3, "completed_by": 1, "was_cancelled": False, "ground_truth": False, "result": list(results)}
    return {"id": 7, "annotations": [annotation], "file_upload": "0a1b2c3d-x.png", "data": {"image": image}} | more


SQUARE = {"points": [[0, 0], [20, 0], [20, 50], [0, 50]], "closed": True}


def save(root: Path, *tasks: Any, image: str = "x.png") -> Path:
    save_image(root / "images" / image, (4, 10))
    save_json(root / "project-1-at-2026-01-01.json", list(tasks))
    return root


def pack_brush(alpha: np.ndarray) -> list[int]:
    """What the brush writes for an alpha channel, (H, W) of 0 and 255: runs of 4 values, and single ones."""
    rgba = np.repeat(alpha[..., None], 4, axis=2).ravel().tolist()
    bits = f"{len(rgba):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    for i in range(0, len(rgba), 4):
        if i % 8:
            bits += "1" + "00" + f"{4 - 1:03b}" + f"{rgba[i]:08b}"
        else:
            bits += "0" + "01" + f"{4 - 1:04b}" + "".join(f"{v:08b}" for v in rgba[i : i + 4])
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_every_kind_in_percent_with_small_shapes_on_top(read: Read, tmp_path: Path) -> None:
    alpha = np.zeros((4, 10), np.uint8)
    alpha[3, 6:] = 255
    save(
        tmp_path,
        task(
            result("polygonlabels", "car", **SQUARE),
            result("rectanglelabels", "road", x=0, y=0, width=50, height=100, rotation=0),
            result("brushlabels", "tree", format="rle", rle=pack_brush(alpha)),
            result("ellipselabels", "sun", x=80, y=25, radiusX=10, radiusY=25, rotation=0),
            result("keypointlabels", "car", x=1, y=1),
            {"type": "choices", "value": {"choices": ["day"]}},
        ),
    )
    source = read(read_label_studio, tmp_path)
    assert source.images.label_set.names == ("background", "car", "road", "sun", "tree")
    assert source.images[0].target.tolist() == [
        [1, 1, 2, 2, 2, 0, 0, 3, 3, 0],
        [1, 1, 2, 2, 2, 0, 0, 3, 3, 0],
        [2, 2, 2, 2, 2, 0, 0, 0, 0, 0],
        [2, 2, 2, 2, 2, 0, 4, 4, 4, 4],
    ]
    assert source.notes == ("1 results of kind 'keypointlabels' enclose nothing and are left out",)


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("/data/upload/1/0a1b2c3d-x.png", "0a1b2c3d-x.png"),
        ("/data/upload/1/0a1b2c3d-x.png", "x.png"),
        ("/data/local-files/?d=project/my%20photo.png", "my photo.png"),
        ("https://host/bucket/x.png?token=abc", "x.png"),
        ("s3://bucket/folder/x.png", "x.png"),
    ],
)
def test_images_are_found_under_the_names_that_label_studio_gives_them(
    image: str, file: str, read: Read, tmp_path: Path
) -> None:
    save(tmp_path, task(result("polygonlabels", "car", **SQUARE), image=image), image=file)
    assert read(read_label_studio, tmp_path).images[0].target.sum() == 4


def test_cancelled_annotations_and_unlabelled_tasks_are_left_out(read: Read, tmp_path: Path) -> None:
    cancelled = {"was_cancelled": True, "result": [result("polygonlabels", "no", **SQUARE)]}
    first = task(result("polygonlabels", "car", **SQUARE))
    first["annotations"].insert(0, cancelled)
    source = read(read_label_studio, save(tmp_path, first, task(annotations=[])))
    assert source.images.label_set.names == ("background", "car")
    assert source.notes == ("1 tasks without an annotation are left out",)


def test_labels_beside_tools_and_what_is_not_read_is_said(read: Read, tmp_path: Path) -> None:
    """One set of labels for several tools: a result of the tool, and one that names its class."""
    tool = result("polygon", "", **SQUARE) | {"value": SQUARE}
    named = result("labels", "car", **SQUARE)
    bare = tool | {"id": "b2"}
    turned = result("rectanglelabels", "road", x=50, y=0, width=50, height=100) | {"id": "c3", "image_rotation": 90}
    first = task(tool, named, bare, turned, {"id": "d4", "type": "labels", "value": {"labels": ["day"]}})
    first["annotations"].append({"result": [result("polygonlabels", "no", **SQUARE)]})
    source = read(read_label_studio, save(tmp_path, first))
    assert source.images.label_set.names == ("background", "car", "road")
    assert [(source.images[0].target == i).sum() for i in (1, 2)] == [4, 20]
    assert source.notes[0] == "1 results of kind 'labels' enclose nothing and are left out"
    assert source.notes[1:3] == (
        "1 tasks have several annotations, of which the first is read",
        "1 shapes without a label are left out",
    )
    assert "1 images were turned in Label Studio, such as that of" in source.notes[3]


@pytest.mark.parametrize(
    ("tasks", "error", "words"),
    [
        ([task(result("polygonlabels", "a", points=[[0, 0]]))], LabelError, "7, result 0 is a polygon of 1"),
        ([task(result("brushlabels", "a", rle=[0, 0, 0, 9, 57]))], LabelError, "mask that cannot be read: .*break"),
        ([task(result("polygonlabels", "a", points=[["x", 1]]))], DataError, r"result 0 cannot be used: value\.points"),
        ([task(result("polygonlabels", "a") | {"original_width": 0})], DataError, "original_width"),
        ([task(data={"text": "hello"}, file_upload=None)], DataError, "task 7 names no image; its data are text"),
        ([task(image="/data/upload/1/0a1b2c3d-y.png")], DataError, "names the image 'y.png', but there is none"),
        ([], DataError, "holds no task with an annotation"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_names_file_and_task(
    tasks: Any, error: type[SegNetError], words: str, read: Read, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read(read_label_studio, save(tmp_path, *tasks))


@pytest.mark.parametrize("seed", range(3))
def test_brush_run_lengths_unfold_to_what_was_packed(seed: int) -> None:
    alpha = (np.random.default_rng(seed).random((5, 7)) < 0.5).astype(np.uint8) * 255
    assert np.array_equal(unpack_brush(pack_brush(alpha), (5, 7)), alpha > 0)


@pytest.mark.parametrize("change", [lambda b: b[:-3], lambda b: [300, *b[1:]], lambda b: [0, 0, 0, 8, *b[4:]]])
def test_broken_brush_run_lengths_are_refused(change: Callable[[list[int]], list[int]]) -> None:
    with pytest.raises(ValueError, match="brush run lengths"):
        unpack_brush(change(pack_brush(np.zeros((5, 7), np.uint8))), (5, 7))
