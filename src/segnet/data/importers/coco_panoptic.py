"""COCO panoptic: one JSON file for many images, and for each a PNG whose colours are the ids of its segments.

    SRC/annotations/panoptic_val2017.json      SRC/annotations/panoptic_val2017/X.png      SRC/val2017/X.jpg

The id of a pixel is R + 256 G + 65536 B; 0 is ignored. Things of one category become one class.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.coco import categories_and_images, coco_kind
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import parse_json, parse_record
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import ImageFinder, split_word
from segnet.errors import DataError, LabelError
from segnet.io.files import is_file
from segnet.labels import Colour


class _Segment(BaseModel):
    id: int = Field(ge=0, lt=1 << 24)
    category_id: int


class _Annotation(BaseModel):
    image_id: int
    file_name: str = Field(min_length=1)
    segments_info: list[_Segment]


class _File(BaseModel):
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]


def recognise_coco_panoptic(listing: Listing) -> str:
    """Why a source is COCO panoptic; empty where it is not."""
    names = [path.name for path, content in listing.json_files if coco_kind(content) == "panoptic"]
    return f"{names[0]} has annotations with segments_info" if names else ""


def read_coco_panoptic(src: Path, context: ImportContext) -> Annotations:
    """Reads one file, or all `panoptic*.json` below a folder.

    Args:
        src: the JSON file or the folder.
        context: gets annotations that are broken, and files that are missing.

    Raises:
        DataError: no such file.
        LabelError: one id for two categories or images.
    """
    paths = [src] if src.is_file() else sorted(src.rglob("panoptic*.json")) or sorted(src.rglob("*.json"))
    if not paths:
        raise DataError(f"no JSON file in {src}; expected one with images, annotations and categories")
    root = src if src.is_dir() else src.parent.parent if src.parent.name == "annotations" else src.parent
    finder, images, classes = ImageFinder(root), list[MaskImage](), dict[str, Colour | None]()
    for path in paths:
        file = parse_json(_File, path, "a COCO panoptic file")
        categories, known = categories_and_images(file.categories, file.images, path, context.problems)
        classes |= {c.name: _colour(record) for c, record in zip(categories.values(), file.categories, strict=False)}
        split = split_word(path.stem) if len(paths) > 1 else ""
        for number, record in enumerate(file.annotations):
            where = f"{path}: annotation {number}"
            with context.problems.collect():
                annotation = parse_record(_Annotation, record, where)
                if annotation.image_id not in known:
                    raise DataError(f"{where} is of image {annotation.image_id}, which the file does not have")
                colours: dict[Colour, str] = {(0, 0, 0): "void"}
                for segment in annotation.segments_info:
                    if segment.category_id not in categories:
                        raise LabelError(f"{where} has a segment of the unknown category {segment.category_id}")
                    code = segment.id
                    name = categories[segment.category_id].name
                    colours[(code & 255, code >> 8 & 255, code >> 16)] = plain_name(name)
                labels = _labels(annotation.file_name, path, finder)
                found = finder.find(known[annotation.image_id].file_name, path.parent / "images.json")
                images.append(MaskImage(found, labels, colours=colours, split=split))
    if not images:
        context.problems.raise_any()
        raise DataError(f"{src} names no image")
    return Annotations(tuple(images), classes)


def _labels(file_name: str, path: Path, finder: ImageFinder) -> Path:
    """The PNG of the segments: in the folder called like the JSON file, or wherever the file name says."""
    beside = path.with_suffix("") / Path(file_name.replace("\\", "/")).name
    return beside if is_file(beside) else finder.find(file_name, path)


def _colour(record: Any) -> Colour | None:
    """The colour of a category, where it has one."""
    colour = record.get("color") if isinstance(record, dict) else None
    if isinstance(colour, list) and len(colour) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in colour):
        return colour[0], colour[1], colour[2]
    return None
