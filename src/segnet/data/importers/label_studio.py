"""Label Studio: a JSON list of tasks, with polygons, boxes, ellipses and brush strokes in percent of the image.

The images lie beside the file, with or without the random prefix (`1a2b3c4d-`) that an upload puts before their names.
Of several annotations of a task the first that was not cancelled counts, which is noted. Key points and labels of whole
images are left out. A project with one set of labels for several tools writes results of the kind `labels`, each beside
one of the tool (`polygon`) without a label. The format defines no drawing order, so small shapes are drawn over large
ones. Its COCO and YOLO exports are read as those formats.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.datasets.layout import IMAGE_SUFFIXES
from segnet.data.importers.annotations import Annotations, Outline, Shape, ShapeImage
from segnet.data.importers.brush import unpack_brush
from segnet.data.importers.classes import plain_name
from segnet.data.importers.imported import joined_by_image
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import ClassName, parse_json_list, parse_record
from segnet.data.importers.polygons import Polygons, Region, ellipse, rectangle, turned
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.source import ImageFinder
from segnet.errors import DataError, LabelError

_KINDS = ("polygonlabels", "brushlabels", "rectanglelabels", "ellipselabels")
_TOOLS = ("polygon", "brush", "rectangle", "ellipse")
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
_Percent = Annotated[FiniteFloat, Field(ge=-1e6, le=1e6)]


class _Value(BaseModel):
    points: list[tuple[_Percent, _Percent]] = []
    rle: list[int] = []
    x: _Percent = 0
    y: _Percent = 0
    width: _Percent = 0
    height: _Percent = 0
    radius_x: _Percent = Field(0, alias="radiusX")
    radius_y: _Percent = Field(0, alias="radiusY")
    rotation: FiniteFloat = 0
    polygonlabels: list[ClassName] = []
    brushlabels: list[ClassName] = []
    rectanglelabels: list[ClassName] = []
    ellipselabels: list[ClassName] = []
    labels: list[ClassName] = []


class _Result(BaseModel):
    type: str
    value: _Value
    image_rotation: FiniteFloat = 0
    height: int = Field(alias="original_height", ge=1, le=1_000_000)
    width: int = Field(alias="original_width", ge=1, le=1_000_000)


class _Annotation(BaseModel):
    was_cancelled: bool = False
    result: list[Any] = []


class _Task(BaseModel):
    id: int | None = None
    data: dict[str, Any]
    annotations: list[_Annotation] = []
    file_upload: str | None = None


@dataclass
class _Seen:
    """What a file holds besides shapes that are read.

    Attributes:
        left_out: results that enclose nothing, by their kind.
        without_label: shapes without a class.
        unlabelled: tasks without an annotation.
        several: tasks with several annotations.
        turned: tasks whose image was turned in Label Studio.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    without_label: int = 0
    unlabelled: int = 0
    several: int = 0
    turned: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """All of it in lines."""
        kinds = self.left_out.items()
        notes = [f"{count} results of kind '{kind}' enclose nothing and are left out" for kind, count in kinds]
        notes += [f"{self.unlabelled} tasks without an annotation are left out"] if self.unlabelled else []
        notes += [f"{self.several} tasks have several annotations, of which the first is read"] if self.several else []
        notes += [f"{self.without_label} shapes without a label are left out"] if self.without_label else []
        if self.turned:
            notes.append(
                f"warning: {len(self.turned)} images were turned in Label Studio, such as that of {self.turned[0]}: "
                "see whether their labels lie right (segnet data show), or turn the files and label them again"
            )
        return tuple(notes)


def recognise_label_studio(listing: Listing) -> str:
    """Why a source is Label Studio's; empty where it is not."""
    for path, content in listing.json_files:
        first = content[0] if isinstance(content, list) and content else None
        if (
            isinstance(first, dict)
            and isinstance(first.get("data"), dict)
            and isinstance(first.get("annotations"), list)
        ):
            return f"{path.name} is a list of tasks with data and annotations"
    return ""


def read_label_studio(src: Path, context: ImportContext) -> Annotations:
    """Reads every JSON file below a folder, or one.

    Args:
        src: the JSON file, or the folder that holds it; images are looked for below the folder.
        context: gets tasks and shapes that are broken, and images that are missing.

    Raises:
        DataError: no JSON file, or no task with an annotation.
    """
    paths = [src] if src.is_file() else sorted(p for p in src.rglob("*.json") if p.is_file() and p.name[0] != ".")
    finder = ImageFinder(src.parent if src.is_file() else src)
    images, seen = list[ShapeImage](), _Seen()
    for path in paths:
        if path.name == "notes.json" and len(paths) > 1:
            continue  # the classes once more, beside an export
        with context.problems.collect():
            for number, record in enumerate(parse_json_list(path, "a Label Studio file")):
                with context.problems.collect():
                    task = parse_record(_Task, record, f"{path}: task number {number}")
                    where = f"{path}: task {number if task.id is None else task.id}"
                    done = [annotation for annotation in task.annotations if not annotation.was_cancelled]
                    if not done:
                        seen.unlabelled += 1
                        continue
                    seen.several += len(done) > 1
                    shapes, size_px = _shapes(done[0], where, context.problems, seen)
                    images.append(ShapeImage(_find(task, path, finder, where), shapes, path, size_px))
    if not images:
        context.problems.raise_any()
        raise DataError(f"{src} holds no task with an annotation; expected Label Studio's JSON export with images")
    classes = sorted({shape.class_name for image in images for shape in image.shapes})
    return Annotations(joined_by_image(images), dict.fromkeys(classes), seen.notes())


def _find(task: _Task, path: Path, finder: ImageFinder, where: str) -> Path:
    """The image of a task: by its name, or by its name without the prefix of an upload."""
    for value in (*task.data.values(), task.file_upload):
        if not isinstance(value, str):
            continue
        address = urlparse(value)
        name = unquote(parse_qs(address.query).get("d", [address.path])[0])  # ?d= names a file of a local folder
        if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        try:
            return finder.find(name, path)
        except DataError:
            without = _UPLOAD_PREFIX.sub("", Path(name).name)
            if without == Path(name).name:
                raise
            return finder.find(without, path)
    raise DataError(f"{where} names no image; its data are {', '.join(task.data) or 'empty'}")


def _shapes(
    annotation: _Annotation, where: str, problems: Problems, seen: _Seen
) -> tuple[tuple[Shape, ...], tuple[int, int] | None]:
    """The shapes of an annotation, and the size of its image, (height, width), where a shape says it."""
    shapes, size_px = list[Shape](), None
    records = [record if isinstance(record, dict) else {} for record in annotation.result]
    named = {str(record.get("id")) for record in records if record.get("type") == "labels"}
    for number, record in enumerate(records):
        written, kind = record.get("type"), _kind_of(record)
        seen.without_label += written in _TOOLS and str(record.get("id")) not in named
        if kind not in _KINDS:
            if isinstance(written, str) and written.endswith("labels"):
                seen.left_out[written] += 1
            continue  # choices, texts and relations
        with problems.collect():
            result = parse_record(_Result, record, f"{where}, result {number}")
            labels: list[str] = getattr(result.value, str(written))
            if len(labels) != 1:
                raise LabelError(f"{where}, result {number} has {len(labels)} labels; expected one class")
            size_px = (result.height, result.width)
            if result.image_rotation and where not in seen.turned:
                seen.turned.append(where)
            shapes.append(Shape(plain_name(labels[0]), _outline(result, kind, f"{where}, result {number}")))
    return tuple(shapes), size_px


def _kind_of(record: dict[str, Any]) -> Any:
    """The kind of a result; of one that says only `labels` that of its shape, by its fields."""
    value = record.get("value")
    kinds = {"points": _KINDS[0], "rle": _KINDS[1], "radiusX": _KINDS[3], "width": _KINDS[2]}
    if record.get("type") != "labels" or not isinstance(value, dict):
        return record.get("type")
    return next((kind for key, kind in kinds.items() if key in value), "labels")


def _outline(result: _Result, kind: str, where: str) -> Outline:
    value, scale = result.value, np.array([result.width, result.height], np.float64) / 100
    if kind == "brushlabels":
        try:
            return Region(unpack_brush(value.rle, (result.height, result.width)))
        except ValueError as cause:
            raise LabelError(f"{where} has a brush mask that cannot be read: {cause}") from None
    if kind == "polygonlabels":
        if len(value.points) < 3:
            raise LabelError(f"{where} is a polygon of {len(value.points)} points; draw at least three, or delete it")
        return Polygons((np.array(value.points, np.float64) * scale,))
    left, top = (np.array([value.x, value.y]) * scale).tolist()
    if kind == "ellipselabels":
        across, down = (np.array([value.radius_x, value.radius_y]) * scale).tolist()
        return Polygons((ellipse((left, top), (across, down), value.rotation),))
    right, bottom = (np.array([value.x + value.width, value.y + value.height]) * scale).tolist()
    return Polygons((turned(rectangle(left, top, right, bottom), (left, top), value.rotation),))
