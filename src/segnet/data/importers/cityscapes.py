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
from segnet.data.importers.annotations import Annotations, MaskImage, Shape, ShapeImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import ClassName, parse_json
from segnet.data.importers.polygons import Polygons
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.source import flat_names
from segnet.data.reading.targets import require_files
from segnet.errors import DataError, LabelError
from segnet.labels import CITYSCAPES_19, VOID

_VOID_LABELS = frozenset(
    "unlabeled,ego vehicle,rectification border,out of roi,static,dynamic,ground,parking,rail track,guard rail,bridge,"
    "tunnel,polegroup,caravan,trailer,license plate".split(",")
)


CITYSCAPES_IDS = {i: "void" if class_id == VOID else CITYSCAPES_19.names[class_id] for i, class_id in IDS.items()}


class _Object(BaseModel):
    label: ClassName
    polygon: list[tuple[FiniteFloat, FiniteFloat]]
    deleted: int = 0


class _File(BaseModel):
    height: int = Field(alias="imgHeight")
    width: int = Field(alias="imgWidth")
    objects: list[_Object]


def recognise_cityscapes(listing: Listing) -> str:
    """Why a source has the layout of Cityscapes; empty where it has not."""
    both = (listing.root / "gtFine").is_dir() and (listing.root / "leftImg8bit").is_dir()
    return "it holds leftImg8bit/ and gtFine/" if both else ""


def read_cityscapes(src: Path, context: ImportContext) -> Annotations:
    """Reads the splits `train` and `val`, as far as they are there.

    Where images of several cities have one name, split and city stand before all names.

    Args:
        src: the folder.
        context: gets missing files, and objects that are broken.

    Raises:
        DataError: another layout, or names that cannot be told apart.
    """
    parts = {s: Cityscapes(src, s, allow_missing=True) for s in ("train", "val") if (src / "gtFine" / s).is_dir()}
    if not parts:
        raise DataError(f"no Cityscapes in {src}: expected gtFine/train/ or gtFine/val/, beside leftImg8bit/")
    pairs = [(split, *pair) for split, part in parts.items() for pair in part.pairs]
    names = tuple(name for part in parts.values() for name in part.names)
    if len(set(names)) < len(names):
        names = flat_names([path.with_name(path.name.replace("_leftImg8bit", "")) for _, path, _ in pairs])
    classes = dict(zip(CITYSCAPES_19.names, CITYSCAPES_19.colours, strict=True))
    by_ids = any(labels.is_file() for *_, labels in pairs)
    images, kept = list[MaskImage | ShapeImage](), list[str]()
    for name, (split, path, labels) in zip(names, pairs, strict=True):
        with context.problems.collect():
            if by_ids:
                require_files([(path, labels)], "expected an image and its labels")
                images.append(MaskImage(path, labels, CITYSCAPES_IDS, split=split))
            else:
                images.append(_image(path, labels, split, context.problems))
            kept.append(name)
    return Annotations(
        tuple(images), classes, order="file", rest="void", names=tuple(kept), label_set_name=CITYSCAPES_19.name
    )


def _image(path: Path, labels: Path, split: str, problems: Problems) -> ShapeImage:
    source = labels.with_name(labels.name.replace("_labelIds.png", "_polygons.json"))
    file = parse_json(_File, source, "a Cityscapes file of polygons")
    shapes = []
    for number, found in enumerate(file.objects):
        where = f"{source}: object {number} ('{found.label}')"
        label = found.label.removesuffix("group") if found.label != "polegroup" else found.label
        with problems.collect():
            if label not in CITYSCAPES_19.names and label not in _VOID_LABELS:
                raise LabelError(f"{where} has a label that Cityscapes does not know; import it as another format")
            if len(found.polygon) < 3:
                raise LabelError(f"{where} is a polygon of {len(found.polygon)} points; expected at least three")
            if not found.deleted:
                shapes.append(Shape(label, Polygons((np.array(found.polygon, np.float64),))))
    return ShapeImage(path, tuple(shapes), source, (file.height, file.width), split)
