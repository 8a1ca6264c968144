"""LabelMe: one JSON file beside each image, with polygons, rectangles, circles and masks in drawing order.

Rectangles and circles count as what they enclose. Points and lines enclose nothing and are left out, which is said.
"""

import base64
import binascii
import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.datasets.folder import IMAGE_SUFFIXES
from segnet.data.importers.parsing import ClassName, parse_json
from segnet.data.importers.polygons import Polygons, Region, ellipse, rectangle
from segnet.data.importers.shapes import Outline, Shape, ShapeImage, ShapeImages, label_set_of
from segnet.data.importers.source import ImageFinder, Source, flat_names
from segnet.errors import DataError, LabelError

_WITHOUT_AREA = ("point", "points", "line", "linestrip")


class _Shape(BaseModel):
    label: ClassName
    points: list[tuple[FiniteFloat, FiniteFloat]]
    shape_type: str = "polygon"
    mask: str | None = None


class _File(BaseModel):
    shapes: list[_Shape]
    image: str = Field(alias="imagePath")
    height: int | None = Field(None, alias="imageHeight")
    width: int | None = Field(None, alias="imageWidth")


def read_labelme(src: Path, rest: str, name: str) -> Source:
    """Reads every JSON file below a folder.

    Args:
        src: the folder of JSON files and images.
        rest: class of the pixels that no shape covers, or `void`.
        name: of the label set.

    Raises:
        DataError: no JSON file, one that is not LabelMe's, or an image that is missing or outside `src`.
        LabelError: a shape that cannot be, such as a polygon of two points; names file and shape.
    """
    paths = sorted(path for path in src.rglob("*.json") if path.is_file())
    if not paths:
        raise DataError(f"no JSON file in {src}; expected those that LabelMe writes, one for each image")
    finder, images, left_out, classes = ImageFinder(src), [], Counter[str](), set[str]()
    for path in paths:
        file = parse_json(_File, path, "a LabelMe file")
        left_out.update(s.shape_type for s in file.shapes if s.shape_type in _WITHOUT_AREA)
        shapes = tuple(
            Shape(shape.label, _outline(shape, f"{path}: shape {number} ('{shape.label}')"))
            for number, shape in enumerate(file.shapes)
            if shape.shape_type not in _WITHOUT_AREA
        )
        classes.update(shape.class_name for shape in shapes)
        size_px = (file.height, file.width) if file.height and file.width else None
        images.append(ShapeImage(finder.find(file.image, path), shapes, path, size_px))
    names = flat_names([image.path for image in images])
    notes = [f"{count} shapes of kind '{kind}' enclose nothing and are left out" for kind, count in left_out.items()]
    labelled = {image.path for image in images}
    others = [p for folder in {p.parent for p in labelled} for p in folder.iterdir() if p not in labelled]
    without = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in others)
    notes += [f"{without} images beside them have no JSON file and are left out"] if without else []
    label_set = label_set_of(name, sorted(classes), {}, rest)
    return Source(ShapeImages(images, names, label_set, rest), notes=tuple(notes))


def _outline(shape: _Shape, where: str) -> Outline:
    points = np.array(shape.points, np.float64).reshape(-1, 2)
    if shape.shape_type == "polygon":
        if len(points) < 3:
            raise LabelError(f"{where} is a polygon of {len(points)} points; draw at least three, or delete it")
        return Polygons((points,))
    if shape.shape_type not in ("rectangle", "circle", "mask"):
        raise LabelError(f"{where} is of the unknown kind '{shape.shape_type}'; draw it as a polygon")
    if len(points) != 2:
        raise LabelError(f"{where} is a {shape.shape_type} of {len(points)} points; expected two")
    if shape.shape_type == "circle":  # the middle and a point on the rim
        radius = float(np.hypot(*(points[1] - points[0])))
        return Polygons((ellipse((points[0, 0], points[0, 1]), (radius, radius)),))
    if shape.shape_type == "rectangle":
        return Polygons((rectangle(*points.min(0).tolist(), *points.max(0).tolist()),))
    return Region(_mask(shape.mask or "", where), *(round(v) for v in (points[0, 1], points[0, 0])))


def _mask(text: str, where: str) -> np.ndarray:
    """A mask that is written as a PNG in base64: bool (h, w)."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            return np.asarray(image.convert("L")) > 0
    except (
        binascii.Error,
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as cause:
        raise LabelError(f"{where} has a mask that cannot be read ({cause}); draw it anew") from None
