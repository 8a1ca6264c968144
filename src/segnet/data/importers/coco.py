"""COCO: one JSON file for many images, with polygons or run lengths for each object.

The format defines no drawing order, so small objects are drawn over large ones. A crowd counts as its class. Where a
folder holds several files, such as `instances_train2017.json` and `instances_val2017.json`, their names say the splits,
and categories meet by their names. Files of captions and keypoints beside them are left out, which is noted.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.importers.annotations import Annotations, Outline, Shape, ShapeImage
from segnet.data.importers.classes import BACKGROUND
from segnet.data.importers.imported import joined_by_image
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import ClassName, parse_json, parse_record
from segnet.data.importers.polygons import Polygons
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.run_lengths import RunLengths, unpack_counts
from segnet.data.importers.source import ImageFinder, split_word
from segnet.errors import DataError, LabelError

_AnyValue = TypeVar("_AnyValue")


class Category(BaseModel):
    """A class of a COCO file."""

    id: int
    name: ClassName
    supercategory: str | None = None
    keypoints: list[str] | None = None


class CocoImage(BaseModel):
    """An image of a COCO file."""

    id: int
    file_name: str = Field(min_length=1)
    height: int
    width: int


class _RunLengths(BaseModel):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    segmentation: list[list[FiniteFloat]] | _RunLengths | None = None


class _File(BaseModel):
    images: list[Any] | None = None
    annotations: list[Any] | None = None
    categories: list[Any] | None = None


def coco_kind(content: Any) -> str:
    """What a JSON file in the form of COCO holds: `objects`, `panoptic`, `captions` or `keypoints`; else empty."""
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        return ""
    first = next((a for a in content["annotations"] if isinstance(a, dict)), {})
    categories = content.get("categories")
    if "caption" in first or not isinstance(categories, list):
        return "captions"
    if "segments_info" in first:
        return "panoptic"
    return "keypoints" if any(isinstance(c, dict) and c.get("keypoints") for c in categories) else "objects"


def recognise_coco(listing: Listing) -> str:
    """Why a source is COCO's; empty where it is not."""
    names = [path.name for path, content in listing.json_files if coco_kind(content) in ("objects", "keypoints")]
    return f"{names[0]} has images, annotations and categories" if names else ""


def read_coco(src: Path, context: ImportContext) -> Annotations:
    """Reads one file, or all below a folder.

    Args:
        src: a JSON file, or a folder of them. Images are looked for in its folder, or in the folder above one that is
            called `annotations`.
        context: gets what is broken: annotations, and images that are missing.

    Raises:
        DataError: no JSON file, or none of COCO's objects.
        LabelError: one id for two categories or images.
    """
    paths = [src] if src.is_file() else sorted(p for p in src.rglob("*.json") if p.is_file() and p.name[0] != ".")
    if not paths:
        raise DataError(f"no JSON file in {src}; expected one with images, annotations and categories")
    root = src if src.is_dir() else src.parent.parent if src.parent.name == "annotations" else src.parent
    files, notes = _of_objects(paths, context.problems)
    finder, images, classes = ImageFinder(root), list[ShapeImage](), dict[str, None]()
    for path, file in files.items():
        split = split_word(str(path.relative_to(root).with_suffix(""))) if len(files) > 1 else ""
        found, names = _read_file(file, path, split, finder, context.problems)
        images += found
        classes |= dict.fromkeys(names)
    joined = joined_by_image(images)
    if len(joined) < len(images):
        notes.append(f"{len(images) - len(joined)} images stand in several records; their objects are taken together")
    return Annotations(joined, classes, tuple(notes))


def _of_objects(paths: Sequence[Path], problems: Problems) -> tuple[dict[Path, _File], list[str]]:
    """The files of objects, and a note for each that holds something else."""
    files = dict[Path, _File]()
    for path in paths:
        with problems.collect():
            files[path] = parse_json(_File, path, "a COCO file of objects")
    kinds = {path: coco_kind(file.model_dump()) for path, file in files.items()}
    kind = "objects" if "objects" in kinds.values() else "keypoints"
    chosen = {path: file for path, file in files.items() if kinds[path] == kind}
    if not chosen and files:
        path = next(iter(files))
        lacking = [key for key in _File.model_fields if getattr(files[path], key) is None]
        what = f"it has no {' and no '.join(lacking)}" if lacking else f"it is a file of {kinds[path]}"
        raise DataError(f"{path} is not a COCO file of objects: {what}")
    left_out = [path for path in files if path not in chosen]
    return chosen, [f"{path} is a file of {kinds[path] or 'another form'} and is left out" for path in left_out]


def _read_file(
    file: _File, path: Path, split: str, finder: ImageFinder, problems: Problems
) -> tuple[list[ShapeImage], tuple[str, ...]]:
    """The images of one file, and its classes."""
    categories, images = categories_and_images(file.categories or [], file.images or [], path, problems)
    names = {category_id: category.name for category_id, category in categories.items()}
    shapes: dict[int, list[Shape]] = {image_id: [] for image_id in images}
    used, lost = set[int](), _record_ids(file.images or []) - images.keys()
    for number, record in enumerate(file.annotations or []):
        record_id = record.get("id") if isinstance(record, dict) else None
        where = f"{path}: annotation {number if record_id is None else record_id}"
        with problems.collect():
            annotation = parse_record(_Annotation, record, where)
            if annotation.image_id in lost:
                continue  # of an image that is itself reported
            if annotation.category_id not in names:
                known = ", ".join(map(str, names)) or "none"
                raise LabelError(f"{where} is of the unknown category {annotation.category_id}; known: {known}")
            if annotation.image_id not in shapes:
                raise DataError(f"{where} is of image {annotation.image_id}, which the file does not have")
            used.add(annotation.category_id)
            image = images[annotation.image_id]
            outline = _outline(annotation, (image.height, image.width), where)
            shapes[annotation.image_id].append(Shape(names[annotation.category_id], outline))
    found = []
    for image_id, image in images.items():
        with problems.collect():
            size_px = (image.height, image.width)
            found.append(ShapeImage(finder.find(image.file_name, path), tuple(shapes[image_id]), path, size_px, split))
    return found, _classes(categories, used)


def categories_and_images(
    categories: Sequence[Any], images: Sequence[Any], path: Path, problems: Problems
) -> tuple[dict[int, Category], dict[int, CocoImage]]:
    """The records of a file by their ids.

    Raises:
        LabelError: one id for two categories or images.
    """
    known, found = list[Category](), list[CocoImage]()
    for number, record in enumerate(categories):
        with problems.collect():
            known.append(parse_record(Category, record, f"{path}: category number {number}"))
    for number, record in enumerate(images):
        with problems.collect():
            found.append(parse_record(CocoImage, record, f"{path}: image number {number}"))
    _require_unique(((c.id, c.name) for c in known), f"{path}: category")
    _require_unique(((i.id, i.file_name) for i in found), f"{path}: image")
    _require_unique(((i.id, (i.height, i.width)) for i in found), f"{path}: the size of image")
    return {c.id: c for c in known}, {i.id: i for i in found}


def _classes(categories: dict[int, Category], used: set[int]) -> tuple[str, ...]:
    """The class names, without two that only look like classes as long as no object is of them.

    Roboflow writes the name of the project as a first category, above all others; labelme's converter writes
    `_background_`.
    """
    above = {category.supercategory for category in categories.values()}
    return tuple(
        category.name
        for category_id, category in categories.items()
        if category_id in used
        or not (category.name == BACKGROUND or (category.supercategory == "none" and category.name in above))
    )


def _record_ids(records: Sequence[Any]) -> set[Any]:
    """The ids of all records, as far as they have one that can be an id."""
    return {record["id"] for record in records if isinstance(record, dict) and isinstance(record.get("id"), int | str)}


def _require_unique(pairs: Iterable[tuple[int, _AnyValue]], what: str) -> None:
    """Refuses one id for two values; a record that is there twice counts once."""
    found: dict[int, _AnyValue] = {}
    for record_id, value in pairs:
        if found.setdefault(record_id, value) != value:
            raise LabelError(f"{what} {record_id} is {found[record_id]!r} and {value!r}; give each an id of its own")


def _outline(annotation: _Annotation, size_px: tuple[int, int], where: str) -> Outline:
    found = annotation.segmentation
    if not found:
        raise LabelError(f"{where} has no outline, only a box; label it with a polygon or a mask")
    if isinstance(found, list):
        for numbers in found:
            if len(numbers) < 6 or len(numbers) % 2:
                raise LabelError(
                    f"{where} has a polygon of {len(numbers)} numbers; expected x and y of at least three points"
                )
        return Polygons(tuple(np.array(numbers, np.float64).reshape(-1, 2) for numbers in found))
    if found.size != size_px:
        raise LabelError(f"{where} has a mask of {found.size} (height, width) in an image of {size_px}")
    try:
        counts = unpack_counts(found.counts) if isinstance(found.counts, str) else found.counts
        return RunLengths(counts, found.size, down=True)
    except ValueError as cause:
        raise LabelError(f"{where} has a mask that cannot be read: {cause}") from None
