"""Imported targets against independent readers: pycocotools for COCO, supervision for YOLO and LabelMe.

The polygons have corners between pixel centres. Both libraries fill a polygon by their own rule, so a pixel on the
outline may differ; inside and outside they agree. supervision rounds corners to whole pixels before it fills, and draws
the outline on top, so its masks may reach two pixels further.
"""

import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from scipy import ndimage

from segnet.data.datasets.folder import Folder
from segnet.data.importers import import_dataset

SIZE_PX = (90, 120)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools


@pytest.fixture(scope="module")
def supervision() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that OpenCV is not installed
        import supervision

    return supervision


def star(seed: int) -> np.ndarray:
    """A polygon that does not cross itself: corners (x, y) at growing angles, float64 (12, 2)."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
    radii = rng.uniform(28, 40, 12)
    return np.stack([60 + radii * np.cos(angles), 45 + radii * np.sin(angles)], axis=1).round(2)


def save_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*SIZE_PX, 3), np.uint8)).save(path)


def imported(src: Path, out: Path, class_name: str) -> np.ndarray:
    """The mask of one class in the only image."""
    import_dataset(src, out)
    data = Folder(out, "val")
    return data[0].target == data.label_set.names.index(class_name)


def require_equal_but_for_the_outline(ours: np.ndarray, theirs: np.ndarray, width_px: int = 1) -> None:
    assert theirs.sum() > 1000
    outline = ndimage.binary_dilation(theirs) & ~ndimage.binary_erosion(theirs, iterations=width_px)
    assert not ((ours != theirs) & ~outline).any()


def coco_file(root: Path, segmentation: Any) -> Path:
    save_image(root / "images" / "x.png")
    height, width = SIZE_PX
    annotation = {"id": 1, "image_id": 5, "category_id": 2, "iscrowd": int(isinstance(segmentation, dict))}
    record = {
        "images": [{"id": 5, "file_name": "x.png", "height": height, "width": width}],
        "annotations": [annotation | {"segmentation": segmentation, "bbox": [0, 0, 1, 1], "area": 1}],
        "categories": [{"id": 2, "name": "star"}],
    }
    (root / "annotations.json").write_text(json.dumps(record))
    return root / "annotations.json"


def pycocotools_mask(path: Path, capsys: pytest.CaptureFixture[str]) -> np.ndarray:
    reader = COCO(str(path))
    capsys.readouterr()  # it prints that it loads
    (annotation,) = reader.loadAnns(reader.getAnnIds())
    mask: np.ndarray = reader.annToMask(annotation) > 0
    return mask


@pytest.mark.parametrize("seed", range(4))
def test_coco_polygons_against_pycocotools(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco_file(tmp_path / "src", [star(seed).ravel().tolist()])
    ours = imported(tmp_path / "src", tmp_path / "out", "star")
    require_equal_but_for_the_outline(ours, pycocotools_mask(path, capsys))


@pytest.mark.parametrize("packed", [False, True])
def test_coco_run_lengths_against_pycocotools(packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run lengths name the pixels themselves, so every one is equal."""
    from pycocotools import mask as coco_masks

    noise = np.asfortranarray(ndimage.zoom(np.random.default_rng(0).random((9, 12)) < 0.5, 10, order=0))
    assert noise.shape == SIZE_PX
    encoded = coco_masks.encode(noise.astype(np.uint8))
    counts: Any = encoded["counts"].decode()
    if not packed:
        column_major = noise.ravel(order="F")
        changes = np.flatnonzero(np.diff(column_major)) + 1
        runs = np.diff([0, *changes, noise.size]).tolist()
        counts = [0, *runs] if column_major[0] else runs
    path = coco_file(tmp_path / "src", {"size": list(SIZE_PX), "counts": counts})
    ours = imported(tmp_path / "src", tmp_path / "out", "star")
    assert np.array_equal(ours, noise)
    assert np.array_equal(ours, pycocotools_mask(path, capsys))


def detections(dataset: Any) -> np.ndarray:
    _, _, found = dataset[0]
    mask: np.ndarray = found.mask[0]
    return mask


@pytest.mark.parametrize("seed", range(4))
def test_yolo_polygons_against_supervision(seed: int, supervision: ModuleType, tmp_path: Path) -> None:
    src = tmp_path / "src"
    save_image(src / "images" / "x.png")
    (src / "labels").mkdir()
    shares = star(seed) / (SIZE_PX[1], SIZE_PX[0])
    (src / "labels" / "x.txt").write_text("0 " + " ".join(f"{v:.8f}" for v in shares.ravel()))
    (src / "data.yaml").write_text("nc: 1\nnames: ['star']\n")
    theirs = supervision.DetectionDataset.from_yolo(
        str(src / "images"), str(src / "labels"), str(src / "data.yaml"), force_masks=True
    )
    require_equal_but_for_the_outline(imported(src, tmp_path / "out", "star"), detections(theirs), width_px=2)


@pytest.mark.parametrize("seed", range(4))
def test_labelme_polygons_against_supervision(seed: int, supervision: ModuleType, tmp_path: Path) -> None:
    src = tmp_path / "src"
    save_image(src / "x.png")
    shape = {"label": "star", "points": star(seed).tolist(), "shape_type": "polygon", "flags": {}, "group_id": None}
    record = {"version": "5.5.0", "flags": {}, "shapes": [shape], "imagePath": "x.png", "imageData": None}
    (src / "x.json").write_text(json.dumps(record | {"imageHeight": SIZE_PX[0], "imageWidth": SIZE_PX[1]}))
    theirs = supervision.DetectionDataset.from_labelme(str(src), str(src), force_masks=True)
    require_equal_but_for_the_outline(imported(src, tmp_path / "out", "star"), detections(theirs), width_px=2)
