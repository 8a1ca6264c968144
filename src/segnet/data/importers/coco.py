"""COCO: one JSON file for many images, with polygons or run lengths for each object.

Objects are drawn in the order of the file. A crowd counts as its class. Where a folder holds several files, such as
`instances_train2017.json` and `instances_val2017.json`, their names say the splits.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.importers.parsing import ClassName, parse_json
from segnet.data.importers.polygons import Polygons
from segnet.data.importers.run_lengths import RunLengths, unpack_counts
from segnet.data.importers.shapes import Outline, Shape, ShapeImage, ShapeImages, label_set_of
from segnet.data.importers.source import ImageFinder, Source, by_split, flat_names, split_word
from segnet.errors import DataError, LabelError

_AnyValue = TypeVar("_AnyValue")


class _Category(BaseModel):
    id: int
    name: ClassName


class _Image(BaseModel):
    id: int
    file_name: str = Field(min_length=1)
    height: int
    width: int


class _RunLengths(BaseModel):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(BaseModel):
    id: int | None = None
    image_id: int
    category_id: int
    segmentation: list[list[FiniteFloat]] | _RunLengths | None = None


class _File(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(src: Path, rest: str, name: str) -> Source:
    """Reads one file, or all below a folder.

    Args:
        src: a JSON file, or a folder of them. Images are looked for in its folder, or in the folder above one that is
            called `annotations`.
        rest: class of the pixels that no object covers, or `void`.
        name: of the label set.

    Raises:
        DataError: no JSON file, one that is not COCO's, or an image that is missing or outside the folder.
        LabelError: an unknown category, one id for two categories or images, or an outline that cannot be; names file
            and annotation.
    """
    paths = [src] if src.is_file() else sorted(path for path in src.rglob("*.json") if path.is_file())
    if not paths:
        raise DataError(f"no JSON file in {src}; expected one with images, annotations and categories")
    root = src if src.is_dir() else src.parent.parent if src.parent.name == "annotations" else src.parent
    finder, images, classes = ImageFinder(root), [], dict[str, None]()
    for path in paths:
        file = parse_json(_File, path, "a COCO file of objects")
        categories = _by_id(((c.id, c.name) for c in file.categories), f"{path}: category")
        classes |= dict.fromkeys(categories.values())
        names_of = _by_id(((p.id, p.file_name) for p in file.images), f"{path}: image")
        sizes = _by_id(((p.id, (p.height, p.width)) for p in file.images), f"{path}: the size of image")
        shapes: dict[int, list[Shape]] = {image_id: [] for image_id in names_of}
        for number, annotation in enumerate(file.annotations):
            where = f"{path}: annotation {number if annotation.id is None else annotation.id}"
            if annotation.category_id not in categories:
                known = ", ".join(map(str, categories)) or "none"
                raise LabelError(f"{where} is of the unknown category {annotation.category_id}; known: {known}")
            if annotation.image_id not in shapes:
                raise DataError(f"{where} is of image {annotation.image_id}, which the file does not have")
            outline = _outline(annotation, sizes[annotation.image_id], where)
            shapes[annotation.image_id].append(Shape(categories[annotation.category_id], outline))
        split = split_word(str(path.relative_to(root).with_suffix(""))) if len(paths) > 1 else ""
        for image_id, file_name in names_of.items():
            found = finder.find(file_name, path)
            images.append(ShapeImage(found, tuple(shapes[image_id]), path, sizes[image_id], split))
    if not images:
        raise DataError(f"{src} names no image")
    names = flat_names([image.path for image in images])
    data = ShapeImages(images, names, label_set_of(name, tuple(classes), {}, rest), rest)
    return Source(data, by_split([image.split for image in images], names))


def _by_id(pairs: Iterable[tuple[int, _AnyValue]], what: str) -> dict[int, _AnyValue]:
    """Id -> value; what is there twice in the same words counts once."""
    found: dict[int, _AnyValue] = {}
    for record_id, value in pairs:
        if found.setdefault(record_id, value) != value:
            raise LabelError(f"{what} {record_id} is {found[record_id]!r} and {value!r}; give each an id of its own")
    return found


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
