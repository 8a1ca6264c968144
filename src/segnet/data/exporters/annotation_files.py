"""Datasets as labelling tools write them: each connected component of a class as a polygon, as LabelMe or COCO files.

For the drawn street scenes, so that the tutorial can start from a tool's files without any labelling. Ignored pixels
become polygons called `void`.
"""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from segnet.data.exporters.outlines import trace
from segnet.data.exporters.preannotations import coco_annotation
from segnet.data.sample import Dataset
from segnet.errors import DataError
from segnet.io.files import whole_files
from segnet.labels import VOID


def write_labelme(root: Path, dataset: Dataset) -> None:
    """Writes `root/NAME.png` and `root/NAME.json` for each sample, whole or not at all.

    Args:
        root: a new or empty folder.
        dataset: of images and targets.

    Raises:
        DataError: the folder is not empty, or cannot be written; or the dataset cannot be read.
    """
    _require_empty(root)
    with whole_files(root) as room:
        room.mkdir(parents=True)
        for index in range(len(dataset)):
            sample = dataset[index]
            Image.fromarray(sample.image).save(room / f"{sample.name}.png")
            shapes = [
                {"label": _name(dataset, o.class_id), "points": o.corners, "shape_type": "polygon", "flags": {}}
                for o in trace(sample.target)
            ]
            height, width = sample.target.shape
            record = {
                "version": "5.5.0",
                "flags": {},
                "shapes": shapes,
                "imagePath": f"{sample.name}.png",
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
            }
            _write_json(room / f"{sample.name}.json", record)


def write_coco(root: Path, dataset: Dataset) -> None:
    """Writes `root/images/NAME.png` and one `root/annotations.json`; arguments and errors as in `write_labelme`."""
    _require_empty(root)
    names = dict(enumerate(dataset.label_set.names)) | {VOID: "void"}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with whole_files(root) as room:
        (room / "images").mkdir(parents=True)
        for index in range(len(dataset)):
            sample = dataset[index]
            Image.fromarray(sample.image).save(room / "images" / f"{sample.name}.png")
            height, width = sample.target.shape
            images.append({"id": index + 1, "file_name": f"{sample.name}.png", "height": height, "width": width})
            for outline in trace(sample.target):
                known = {"id": len(annotations) + 1, "image_id": index + 1}
                annotations.append({**known, **coco_annotation(outline)})
        categories = [{"id": class_id + 1, "name": name} for class_id, name in names.items()]
        record = {"images": images, "annotations": annotations, "categories": categories}
        _write_json(room / "annotations.json", record)


def _require_empty(root: Path) -> None:
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} is not empty; expected a new or empty folder to write a dataset to")


def _name(dataset: Dataset, class_id: int) -> str:
    return "void" if class_id == VOID else dataset.label_set.names[class_id]


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record), encoding="utf-8")
