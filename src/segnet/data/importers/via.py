"""VIA, the VGG Image Annotator: one JSON file for all images, with polygons, rectangles, circles and ellipses.

Both versions are read: regions in a list, or numbered in a mapping; a project, or its annotations alone. The class of a
region is one of its attributes: the only one, or the one that is called class, label, name, type or the like. Where no
region of the file has an attribute, all of them are of the class `object`. Points and lines are left out, which is
noted. The format defines no drawing order, so small shapes are drawn over large ones.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat

from segnet.data.importers.annotations import Annotations, Outline, Shape, ShapeImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.imported import joined_by_image
from segnet.data.importers.listing import Listing
from segnet.data.importers.parsing import parse_json_mapping, parse_record
from segnet.data.importers.polygons import Polygons, ellipse, rectangle
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import ImageFinder, split_word
from segnet.errors import DataError, LabelError

_PREFERRED = ("class", "label", "name", "type", "category", "object", "classname", "objectname")
_WITHOUT_AREA = ("point", "polyline", "line")
_ONLY_CLASS = "object"


class _Form(BaseModel):
    kind: str = Field(alias="name")
    xs: list[FiniteFloat] = Field([], alias="all_points_x")
    ys: list[FiniteFloat] = Field([], alias="all_points_y")
    x: FiniteFloat = 0
    y: FiniteFloat = 0
    width: FiniteFloat = 0
    height: FiniteFloat = 0
    cx: FiniteFloat = 0
    cy: FiniteFloat = 0
    r: FiniteFloat = 0
    rx: FiniteFloat = 0
    ry: FiniteFloat = 0
    theta: FiniteFloat = 0  # radians


class _Region(BaseModel):
    form: _Form = Field(alias="shape_attributes")
    attributes: dict[str, Any] = Field({}, alias="region_attributes")


class _Image(BaseModel):
    filename: str = Field(min_length=1)
    regions: list[Any] | dict[str, Any] = []


def _images(content: Any) -> dict[str, Any] | None:
    """The images of a project or of its annotations; None where the content is not VIA's."""
    if not isinstance(content, dict):
        return None
    found = content.get("_via_img_metadata", content)
    if not isinstance(found, dict) or not found:
        return None
    fit = all(isinstance(value, dict) and "filename" in value and "regions" in value for value in found.values())
    return found if fit or "_via_img_metadata" in content else None


def recognise_via(listing: Listing) -> str:
    """Why a source is VIA's; empty where it is not."""
    for path, content in listing.json_files:
        if _images(content) is not None:
            return f"{path.name} has a filename and regions for each image"
    return ""


def read_via(src: Path, context: ImportContext) -> Annotations:
    """Reads every JSON file of VIA below a folder, or one.

    Args:
        src: the file, or the folder; images are looked for beside the file and below the folder.
        context: gets regions that are broken, and images that are missing.

    Raises:
        DataError: no file of VIA.
        LabelError: several attributes, of which none is known to be the class.
    """
    paths = [src] if src.is_file() else sorted(p for p in src.rglob("*.json") if p.is_file() and p.name[0] != ".")
    finder, root = ImageFinder(src.parent if src.is_file() else src), src.parent if src.is_file() else src
    read, left_out = list[tuple[Path, _Image, str, list[tuple[str, _Region]]]](), Counter[str]()
    for path in paths:
        with context.problems.collect():
            found = _images(parse_json_mapping(path, "a VIA file"))
            if found is None and len(paths) == 1:
                raise DataError(f"{path} is not a VIA file: expected a filename and regions for each image")
            for key, record in (found or {}).items():
                with context.problems.collect():
                    image = parse_record(_Image, record, f"{path}: image '{key}'")
                    regions = list[tuple[str, _Region]]()
                    each = image.regions.values() if isinstance(image.regions, dict) else image.regions
                    for number, region in enumerate(each):
                        where = f"{path}: image '{image.filename}', region {number}"
                        with context.problems.collect():
                            regions.append((where, parse_record(_Region, region, where)))
                    split = split_word(str(path.parent.relative_to(root))) if path.parent != root else ""
                    read.append((path, image, split, regions))
    if not read:
        context.problems.raise_any()
        raise DataError(f"no VIA file in {src}; expected a project or its annotations as JSON")
    attribute = _class_attribute((region for *_, regions in read for _, region in regions), src)
    images = list[ShapeImage]()
    for path, image, split, regions in read:
        shapes = list[Shape]()
        for where, region in regions:
            if region.form.kind in _WITHOUT_AREA:
                left_out[region.form.kind] += 1
                continue
            with context.problems.collect():
                shapes.append(Shape(_class_name(region, attribute, where), _outline(region.form, where)))
        with context.problems.collect():
            images.append(ShapeImage(finder.find(image.filename, path), tuple(shapes), path, None, split))
    notes = [f"{count} shapes of kind '{kind}' enclose nothing and are left out" for kind, count in left_out.items()]
    notes += [f"the class of a region is its attribute '{attribute}'"] if attribute else []
    notes += [] if attribute else [f"no region has an attribute, so all are of the class '{_ONLY_CLASS}'"]
    classes = sorted({shape.class_name for image in images for shape in image.shapes})
    return Annotations(joined_by_image(images), dict.fromkeys(classes or [_ONLY_CLASS]), tuple(notes))


def _class_attribute(regions: Iterable[_Region], src: Path) -> str:
    """The attribute that names the class; empty where no region has any.

    Raises:
        LabelError: several, and none of a known name.
    """
    counts = Counter(key for region in regions for key, value in region.attributes.items() if value not in ("", {}))
    if len(counts) <= 1:
        return next(iter(counts), "")
    chosen = _known(list(counts))
    if chosen is None:
        raise LabelError(
            f"{src}: regions have the attributes {', '.join(counts)}; call the one that is the class 'class', or "
            "export with that one alone"
        )
    return chosen


def _known(names: Sequence[str]) -> str | None:
    plain = {"".join(c for c in name.lower() if c.isalpha()): name for name in names}
    return next((plain[name] for name in _PREFERRED if name in plain), None)


def _class_name(region: _Region, attribute: str, where: str) -> str:
    if not attribute:
        return _ONLY_CLASS
    value = region.attributes.get(attribute)
    if isinstance(value, dict):  # check boxes: {"car": true}
        chosen = [key for key, on in value.items() if on]
        value = chosen[0] if len(chosen) == 1 else None
    if not isinstance(value, str) or not value.strip():
        raise LabelError(f"{where} has no single value of '{attribute}'; choose its class in VIA")
    return plain_name(value)


def _outline(form: _Form, where: str) -> Outline:
    if form.kind == "polygon":
        if len(form.xs) != len(form.ys) or len(form.xs) < 3:
            raise LabelError(
                f"{where} is a polygon of {len(form.xs)} x and {len(form.ys)} y; expected at least three each"
            )
        return Polygons((np.array([form.xs, form.ys], np.float64).T,))
    if form.kind == "rect":
        return Polygons((rectangle(form.x, form.y, form.x + form.width, form.y + form.height),))
    if form.kind == "circle":
        return Polygons((ellipse((form.cx, form.cy), (form.r, form.r)),))
    if form.kind == "ellipse":
        return Polygons((ellipse((form.cx, form.cy), (form.rx, form.ry), float(np.rad2deg(form.theta))),))
    raise LabelError(f"{where} is of the unknown kind '{form.kind}'; draw it as a polygon")
