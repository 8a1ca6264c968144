"""Cityscapes in its official layout, by its label images, or by its polygons where it has none of those.

    SRC/leftImg8bit/train/aachen/X_leftImg8bit.png
    SRC/gtFine/train/aachen/X_gtFine_labelIds.png or X_gtFine_polygons.json

The classes are the 19 of the benchmark; its other labels, and what no polygon covers, are void. Polygons are drawn in
the order of the file, as by its authors' tool.
"""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.datasets.cityscapes import IDS, Cityscapes
from segnet.data.importers.label_images import LabelImages
from segnet.data.importers.parsing import ClassName, parse_json
from segnet.data.importers.polygons import Polygons
from segnet.data.importers.shapes import Shape, ShapeImage, ShapeImages
from segnet.data.importers.source import Source, by_split, flat_names
from segnet.errors import DataError, LabelError
from segnet.labels import CITYSCAPES_19

_VOID_LABELS = frozenset(
    "unlabeled,ego vehicle,rectification border,out of roi,static,dynamic,ground,parking,rail track,guard rail,bridge,"
    "tunnel,polegroup,caravan,trailer,license plate".split(",")
)


class _Object(BaseModel):
    label: ClassName
    polygon: list[tuple[FiniteFloat, FiniteFloat]]
    deleted: int = 0


class _File(BaseModel):
    height: int = Field(alias="imgHeight")
    width: int = Field(alias="imgWidth")
    objects: list[_Object]


def read_cityscapes(src: Path) -> Source:
    """Reads the splits `train` and `val`, as far as they are there.

    Where images of several cities have one name, split and city stand before all names.

    Raises:
        DataError: another layout, a file is missing, or names that cannot be told apart.
        LabelError: a label that Cityscapes does not know, or a polygon of two points; names the file.
    """
    parts = {s: Cityscapes(src, s, allow_missing=True) for s in ("train", "val") if (src / "gtFine" / s).is_dir()}
    if not parts:
        raise DataError(f"no Cityscapes in {src}: expected gtFine/train/ or gtFine/val/, beside leftImg8bit/")
    pairs = [pair for part in parts.values() for pair in part.pairs]
    names = tuple(name for part in parts.values() for name in part.names)
    if len(set(names)) < len(names):
        names = flat_names([path.with_name(path.name.replace("_leftImg8bit", "")) for path, _ in pairs])
    splits = by_split([split for split, part in parts.items() for _ in part.names], names)
    if any(labels.is_file() for _, labels in pairs):
        return Source(LabelImages(pairs, names, CITYSCAPES_19, ids=IDS), splits)
    images = [_image(path, labels, split) for split, part in parts.items() for path, labels in part.pairs]
    return Source(ShapeImages(images, names, CITYSCAPES_19, "void"), splits)


def _image(path: Path, labels: Path, split: str) -> ShapeImage:
    source = labels.with_name(labels.name.replace("_labelIds.png", "_polygons.json"))
    file = parse_json(_File, source, "a Cityscapes file of polygons")
    shapes = []
    for number, found in enumerate(file.objects):
        where = f"{source}: object {number} ('{found.label}')"
        label = found.label.removesuffix("group") if found.label != "polegroup" else found.label
        if label not in CITYSCAPES_19.names and label not in _VOID_LABELS:
            raise LabelError(f"{where} has a label that Cityscapes does not know; import it as another format")
        if len(found.polygon) < 3:
            raise LabelError(f"{where} is a polygon of {len(found.polygon)} points; expected at least three")
        if not found.deleted:
            shapes.append(Shape(label, Polygons((np.array(found.polygon, np.float64),))))
    return ShapeImage(path, tuple(shapes), source, (file.height, file.width), split)
