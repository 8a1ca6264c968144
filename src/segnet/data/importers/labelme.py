"""LabelMe: one JSON file for each image, with polygons, rectangles, circles and masks in drawing order.

The image lies beside its file, or inside it (`imageData`). Rectangles and circles count as what they enclose. Points
and lines enclose nothing and are left out, which is noted.
"""

import base64
import binascii
import io
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.importers.annotations import Annotations, Outline, Shape, ShapeImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import ClassName, parse_json, parse_record
from segnet.data.importers.polygons import Polygons, Region, ellipse, rectangle
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import ImageFinder, is_image
from segnet.errors import DataError, LabelError

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
_ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif", "WEBP": ".webp"}


class _Shape(BaseModel):
    label: ClassName
    points: list[tuple[FiniteFloat, FiniteFloat]]
    shape_type: str = "polygon"
    mask: str | None = None


class _File(BaseModel):
    shapes: list[object]
    image: str = Field(alias="imagePath", min_length=1)
    data: str | None = Field(None, alias="imageData")
    height: int | None = Field(None, alias="imageHeight")
    width: int | None = Field(None, alias="imageWidth")


def recognise_labelme(listing: Listing) -> str:
    """Why a source is LabelMe's; empty where it is not."""
    for path, content in listing.json_files:
        if isinstance(content, dict) and "imagePath" in content and isinstance(content.get("shapes"), list):
            return f"{path.name} has shapes and imagePath"
    return ""


def read_labelme(src: Path, context: ImportContext) -> Annotations:
    """Reads every JSON file below a folder.

    Args:
        src: the folder of JSON files and images, or one JSON file.
        context: its scratch folder gets the images that are stored inside JSON files.

    Raises:
        DataError: no JSON file.
    """
    paths = [src] if src.is_file() else sorted(p for p in src.rglob("*.json") if p.is_file() and p.name[0] != ".")
    if not paths:
        raise DataError(f"no JSON file in {src}; expected those that LabelMe writes, one for each image")
    finder = ImageFinder(src.parent if src.is_file() else src)
    images, left_out, classes = list[ShapeImage](), Counter[str](), set[str]()
    for number, path in enumerate(paths):
        with context.problems.collect():
            file = parse_json(_File, path, "a LabelMe file")
            shapes = _shapes(file, path, context, left_out)
            size_px = (file.height, file.width) if file.height and file.width else None
            found, place = _image(file, path, finder, context.scratch / f"image-{number}")
            images.append(ShapeImage(found, shapes, path, size_px, place=place))
            classes.update(shape.class_name for shape in shapes)
    notes = [f"{count} shapes of kind '{kind}' enclose nothing and are left out" for kind, count in left_out.items()]
    labelled = {image.path for image in images}
    others = [p for folder in {p.parent for p in labelled} for p in folder.iterdir() if p not in labelled]
    without = sum(is_image(p) for p in others if not p.is_relative_to(context.scratch))
    notes += [f"{without} images beside them have no JSON file and are left out"] if without else []
    return Annotations(tuple(images), dict.fromkeys(sorted(classes)), tuple(notes), order="file")


def _shapes(file: _File, path: Path, context: ImportContext, left_out: Counter[str]) -> tuple[Shape, ...]:
    shapes = []
    for number, record in enumerate(file.shapes):
        with context.problems.collect():
            shape = parse_record(_Shape, record, f"{path}: shape {number}")
            if shape.shape_type in _WITHOUT_AREA:
                left_out[shape.shape_type] += 1
            else:
                outline = _outline(shape, f"{path}: shape {number} ('{shape.label}')")
                shapes.append(Shape(shape.label, outline))
    return tuple(shapes)


def _image(file: _File, path: Path, finder: ImageFinder, scratch: Path) -> tuple[Path, Path | None]:
    """The image, and the path that it is named by where it is stored inside the JSON file."""
    try:
        return finder.find(file.image, path), None
    except DataError:
        if not file.data:
            raise
    try:
        data = base64.b64decode(file.data, validate=True)
        with Image.open(io.BytesIO(data)) as image:
            ending = _ENDINGS.get(image.format or "", "")
    except (binascii.Error, ValueError, OSError, Image.DecompressionBombError):
        ending = ""
    if not ending:
        raise DataError(f"{path}: imageData is not an image in base64; save the file again in LabelMe")
    written = scratch.with_suffix(ending)
    written.write_bytes(data)
    name = PurePosixPath(file.image.replace("\\", "/")).name
    return written, path.with_name(name if Path(name).suffix else f"{name}{ending}")


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
    if shape.shape_type == "circle":  # the centre and a point on the rim
        radius = float(np.hypot(*(points[1] - points[0])))
        return Polygons((ellipse((points[0, 0], points[0, 1]), (radius, radius)),))
    if shape.shape_type == "rectangle":
        return Polygons((rectangle(*points.min(0).tolist(), *points.max(0).tolist()),))
    return Region(png_mask(shape.mask or "", where), *(_pixel(v, where) for v in (points[0, 1], points[0, 0])))


def _pixel(value: float, where: str) -> int:
    if abs(value) > 2**31:
        raise LabelError(f"{where} has a mask at pixel {value:g}; expected a place in the image")
    return round(value)


def png_mask(text: str, where: str) -> np.ndarray:
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
        raise LabelError(f"{where} has a mask that cannot be read ({cause}); draw it again") from None
