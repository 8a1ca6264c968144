"""Supervisely: `meta.json` with the classes, and a JSON file for each image of each dataset of the project.

    SRC/meta.json      SRC/DATASET/img/X.jpg      SRC/DATASET/ann/X.jpg.json

Objects are drawn in the order of the file, as its editor does. Polygons may have holes. Lines, points and cuboids are
left out, which is noted. A dataset called train, val or test is that split.
"""

import base64
import binascii
import io
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.importers.annotations import Annotations, Outline, Shape, ShapeImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import ClassName, parse_json, parse_record
from segnet.data.importers.polygons import Polygons, Region, rectangle
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.source import is_image, split_word
from segnet.errors import DataError, LabelError
from segnet.io.files import is_file
from segnet.labels import Colour

_WITH_AREA = ("polygon", "bitmap", "rectangle")
_MAX_MASK_BYTES = 1 << 28


class _Class(BaseModel):
    title: ClassName
    color: str = ""


class _Meta(BaseModel):
    classes: list[_Class]


class _Points(BaseModel):
    exterior: list[tuple[FiniteFloat, FiniteFloat]]
    interior: list[list[tuple[FiniteFloat, FiniteFloat]]] = []


class _Bitmap(BaseModel):
    data: str
    origin: tuple[int, int]  # (x, y)


class _Object(BaseModel):
    title: ClassName = Field(alias="classTitle")
    kind: str = Field(alias="geometryType")
    points: _Points | None = None
    bitmap: _Bitmap | None = None


class _Size(BaseModel):
    height: int
    width: int


class _File(BaseModel):
    size: _Size
    objects: list[Any]


def recognise_supervisely(listing: Listing) -> str:
    """Why a source is Supervisely's; empty where it is not."""
    for path, content in listing.json_files:
        classes = content.get("classes") if path.name == "meta.json" and isinstance(content, dict) else None
        if isinstance(classes, list) and all(isinstance(c, dict) and "title" in c for c in classes):
            return f"{path.name} has classes with a title"
    return ""


def read_supervisely(src: Path, context: ImportContext) -> Annotations:
    """Reads every dataset of a project.

    Args:
        src: the folder of the project.
        context: gets objects that are broken, and images without annotations.

    Raises:
        DataError: no `meta.json`, or no image.
        LabelError: a colour that is no colour.
    """
    metas = sorted(src.rglob("meta.json"), key=lambda path: len(path.parts))
    if not metas:
        raise DataError(f"no meta.json in {src}; expected the folder of a Supervisely project")
    root = metas[0].parent
    classes = {
        entry.title: _colour(entry.color, metas[0]) for entry in parse_json(_Meta, metas[0], "Supervisely's").classes
    }
    images, left_out = list[ShapeImage](), Counter[str]()
    for folder in sorted(path for path in root.rglob("img") if path.is_dir()):
        split = split_word(folder.parent.name)
        for path in sorted(p for p in folder.iterdir() if is_image(p)):
            with context.problems.collect():
                source = folder.parent / "ann" / f"{path.name}.json"
                if not is_file(source):
                    source = source.with_name(f"{path.stem}.json")
                file = parse_json(_File, source, "a Supervisely annotation")
                shapes = _shapes(file, classes, source, context.problems, left_out)
                images.append(ShapeImage(path, shapes, source, (file.size.height, file.size.width), split))
    if not images:
        context.problems.raise_any()
        raise DataError(f"no image in {root}; expected DATASET/img/ and DATASET/ann/")
    notes = tuple(f"{count} objects of kind '{k}' enclose nothing and are left out" for k, count in left_out.items())
    return Annotations(tuple(images), classes, notes, order="file")


def _colour(text: str, path: Path) -> Colour | None:
    if not text:
        return None
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise LabelError(f"{path}: the colour '{text}' of a class is not six hexadecimal digits") from None
    return red, green, blue


def _shapes(
    file: _File, classes: dict[str, Colour | None], source: Path, problems: Problems, left_out: Counter[str]
) -> tuple[Shape, ...]:
    shapes = []
    for number, record in enumerate(file.objects):
        where = f"{source}: object {number}"
        with problems.collect():
            found = parse_record(_Object, record, where)
            if found.kind not in _WITH_AREA:
                left_out[found.kind] += 1
                continue
            if found.title not in classes:
                raise LabelError(f"{where} is of the unknown class '{found.title}'; known: {', '.join(classes)}")
            shapes.append(Shape(found.title, _outline(found, where)))
    return tuple(shapes)


def _outline(found: _Object, where: str) -> Outline:
    if found.kind == "bitmap":
        if found.bitmap is None:
            raise LabelError(f"{where} is a bitmap without one; draw it again")
        left, top = found.bitmap.origin
        if max(abs(left), abs(top)) > 2**31:
            raise LabelError(f"{where} has the origin {found.bitmap.origin}; expected a place in the image")
        return Region(_bitmap(found.bitmap.data, where), top, left)
    points = np.array(found.points.exterior if found.points else [], np.float64).reshape(-1, 2)
    if found.kind == "rectangle":
        if len(points) != 2:
            raise LabelError(f"{where} is a rectangle of {len(points)} points; expected two")
        return Polygons((rectangle(*points.min(0).tolist(), *(points.max(0) + 1).tolist()),))  # both corners are pixels
    if len(points) < 3 or found.points is None:
        raise LabelError(f"{where} is a polygon of {len(points)} points; draw at least three, or delete it")
    holes = tuple(np.array(hole, np.float64) for hole in found.points.interior if len(hole) >= 3)
    return Polygons((points,), holes)


def _bitmap(text: str, where: str) -> np.ndarray:
    """A PNG, packed with zlib and written in base64: bool (h, w)."""
    try:
        packed = zlib.decompressobj()
        data = packed.decompress(base64.b64decode(text, validate=True), _MAX_MASK_BYTES)
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGBA") if "A" in image.getbands() else image.convert("L"))
        return pixels[..., 3] > 0 if pixels.ndim == 3 else pixels > 0
    except (binascii.Error, zlib.error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as cause:
        raise LabelError(f"{where} has a bitmap that cannot be read ({cause}); draw it again") from None
