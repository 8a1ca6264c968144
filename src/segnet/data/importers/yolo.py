"""YOLO segmentation: a text file for each image with a line for each object, `class x y x y ...`.

    SRC/data.yaml                         names: [car, road], or names: with a line `0: car` for each class
    SRC/images/train/X.jpg                SRC/labels/train/X.txt
    SRC/train/images/X.jpg                SRC/train/labels/X.txt        the same, as Roboflow nests it

Coordinates are shares of width and height. An image without a text file has no object. The format defines no drawing
order, so small objects are drawn over large ones. A `classes.txt` or `obj.names` stands in for `data.yaml`, as Label
Studio and CVAT write it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segnet.data.importers.annotations import Annotations, Shape, ShapeImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.listing import Listing
from segnet.data.importers.polygons import Points, Region, fill_polygon
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.source import is_image, split_word
from segnet.data.importers.yaml_file import read_yaml
from segnet.errors import DataError, LabelError
from segnet.io.files import is_file
from segnet.io.text import read_lines, read_text

NAME_FILES = ("classes.txt", "obj.names")
_OUTSIDE = 0.5  # tools write corners slightly outside the image; numbers further out are no shares


@dataclass(frozen=True)
class RelativePolygon:
    """A polygon whose corners are shares of the image's width and height.

    Attributes:
        corners: (x, y) of each, (P, 2).
    """

    corners: Points

    def region(self, size_px: tuple[int, int]) -> Region:
        """The pixels of an image of (height, width)."""
        return fill_polygon(self.corners * (size_px[1], size_px[0]), size_px)


def recognise_yolo(listing: Listing) -> str:
    """Why a source is YOLO's; empty where it is not."""
    for path in listing.ending(".yaml", ".yml"):
        try:
            if class_names(read_yaml(path), path) and listing.ending(".txt"):
                return f"{path.name} has names, and there are text files of objects"
        except DataError:
            continue
    for path in listing.named(*NAME_FILES):
        labels = [p for p in listing.files if p.suffix == ".txt" and p.parent.name == "labels"]
        if labels:
            return f"it holds {path.name} and labels/ with text files"
    return ""


def read_yolo(src: Path, context: ImportContext) -> Annotations:
    """Reads every image below a folder, with the text file that belongs to it.

    Args:
        src: the folder, or its `data.yaml`.
        context: gets lines that are broken, such as boxes.

    Raises:
        DataError: no file that names the classes, or no text file of objects.
    """
    names = _names(src)
    root = src if src.is_dir() else src.parent
    images, without, used = list[ShapeImage](), 0, set[int]()
    for path in sorted(p for p in root.rglob("*") if is_image(p)):
        labels = _label_file(path, root)
        split = split_word(" ".join(path.relative_to(root).parent.parts))
        if not is_file(labels):
            without += 1
            images.append(ShapeImage(path, (), labels, None, split))
            continue
        shapes = _shapes(labels, names, context.problems, used)
        images.append(ShapeImage(path, shapes, labels, None, split))
    if without == len(images):
        raise DataError(f"{src} holds no text file of objects beside its {len(images)} images; expected labels/X.txt")
    notes = [f"{without} images have no text file of objects and count as images without any"] if without else []
    classes = dict.fromkeys(name for _, name in sorted(names.items()))
    return Annotations(tuple(images), classes, tuple(notes))


def class_names(record: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Id -> class name, as `names` in a `data.yaml` says; empty where it says nothing.

    Raises:
        DataError: `names` is of another form.
    """
    names = record.get("names")
    if names is None:
        return {}
    pairs = (
        list(names.items()) if isinstance(names, dict) else list(enumerate(names)) if isinstance(names, list) else []
    )
    if (
        not all(isinstance(i, int) and isinstance(n, str | int | float) and str(n).strip() for i, n in pairs)
        or not pairs
    ):
        raise DataError(f"{path}: `names` is {str(names)[:60]}; expected a list of names, or a number and name each")
    return {i: plain_name(str(n)) for i, n in pairs}


def _names(src: Path) -> dict[int, str]:
    if src.is_file():
        found = [src]
    else:
        found = sorted(
            (p for p in src.rglob("[!.]*") if p.suffix in (".yaml", ".yml")), key=lambda p: (len(p.parts), p)
        )
    for path in found:
        names = class_names(read_yaml(path), path)
        if names:
            return names
    lists = [path for name in NAME_FILES for path in sorted(src.rglob(name))] if src.is_dir() else []
    if not lists:
        raise DataError(f"{src} names no classes; expected data.yaml with `names`, or classes.txt with a name a line")
    return {class_id: plain_name(name) for class_id, name in enumerate(read_lines(lists[0]))}


def _label_file(image: Path, root: Path) -> Path:
    """The text file of an image: the last folder called `images` on the way becomes `labels`; else beside it."""
    parts = list(image.relative_to(root).parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            return root.joinpath(*parts[:place], "labels", *parts[place + 1 :]).with_suffix(".txt")
    beside = image.with_suffix(".txt")
    in_labels = root / "labels" / image.relative_to(root).with_suffix(".txt")
    return in_labels if is_file(in_labels) and not is_file(beside) else beside


def _shapes(path: Path, names: Mapping[int, str], problems: Problems, used: set[int]) -> tuple[Shape, ...]:
    shapes = list[Shape]()
    with problems.collect():
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if line.strip():
                with problems.collect():
                    class_id, polygon = _object(line.split(), names, f"{path}, line {number}")
                    used.add(class_id)
                    shapes.append(Shape(names[class_id], polygon))
    return tuple(shapes)


def _object(fields: Sequence[str], names: Mapping[int, str], where: str) -> tuple[int, RelativePolygon]:
    """Class id and outline of a line.

    Raises:
        LabelError: an unknown class, a box, or numbers that are no shares of the image.
    """
    try:
        values = np.array([float(field) for field in fields[1:]], np.float64)
        class_id = int(fields[0].removesuffix(".0"))
    except ValueError:
        raise LabelError(
            f"{where} is '{' '.join(fields):.40}'; expected a class number and x, y of each corner"
        ) from None
    if class_id not in names:
        known = f"{min(names)} to {max(names)}" if names else "none"
        raise LabelError(f"{where} has the unknown class {class_id}; known: {known}")
    if len(values) == 4:
        raise LabelError(f"{where} is a box, not a polygon; export the dataset for segmentation")
    if len(values) < 6 or len(values) % 2:
        raise LabelError(f"{where} has {len(values)} coordinates; expected x and y of at least three corners")
    if not (np.isfinite(values).all() and values.min() >= -_OUTSIDE and values.max() <= 1 + _OUTSIDE):
        raise LabelError(f"{where} has coordinates outside 0..1; expected shares of the image's width and height")
    return class_id, RelativePolygon(values.reshape(-1, 2))
