"""CVAT for images: one XML file with polygons, masks, boxes and ellipses, and the classes with their colours.

Shapes are drawn by their `z_order`, those of the same order as in the file. Boxes and ellipses count as what they
enclose. Points, lines, skeletons and cuboids are left out, which is said. The subsets of a project are its splits.
"""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from segnet.data.importers.polygons import Points, Polygons, ellipse, rectangle
from segnet.data.importers.run_lengths import RunLengths
from segnet.data.importers.shapes import Outline, Shape, ShapeImage, ShapeImages, label_set_of
from segnet.data.importers.source import ImageFinder, Source, by_split, flat_names, split_word
from segnet.errors import DataError, LabelError
from segnet.labels import Colour

_WITH_AREA = ("polygon", "mask", "box", "ellipse")
_OTHERS = ("polyline", "points", "skeleton", "cuboid")


def read_cvat(src: Path, rest: str, name: str) -> Source:
    """Reads one XML file.

    Args:
        src: the file, or the folder that holds it as `annotations.xml`; images are looked for below the folder.
        rest: class of the pixels that no shape covers, or `void`.
        name: of the label set.

    Raises:
        DataError: no such file, not CVAT's for images, or an image that is missing or outside the folder.
        LabelError: a label that the file does not declare, or a shape that cannot be; names file, image and shape.
    """
    path = src / "annotations.xml" if src.is_dir() else src
    root = _root(path)
    colours = _declared(root, path)
    finder, left_out, images, classes = ImageFinder(path.parent), Counter[str](), [], dict.fromkeys(colours)
    for image in root.iter("image"):
        file_name = image.get("name", "")
        where = f"{path}: image '{file_name}'"
        left_out.update(e.tag for e in image if e.tag in _OTHERS)
        drawn = sorted((e for e in image if e.tag in _WITH_AREA), key=lambda e: _number(e, "z_order", where, "0"))
        size_px = (int(_number(image, "height", where)), int(_number(image, "width", where)))
        shapes = tuple(_shape(element, size_px, where) for element in drawn)
        for shape in shapes:
            if colours and shape.class_name not in colours:
                known = ", ".join(colours)
                raise LabelError(f"{where}: the label '{shape.class_name}' is not declared in <meta>; known: {known}")
        classes |= dict.fromkeys(shape.class_name for shape in shapes)
        split = split_word(image.get("subset", ""))
        images.append(ShapeImage(finder.find(file_name, path), shapes, path, size_px, split))
    if not images:
        raise DataError(f"{path} holds no <image>; export the task as 'CVAT for images 1.1'")
    names = flat_names([entry.path for entry in images])
    given = {label: colour for label, colour in colours.items() if colour}
    data = ShapeImages(images, names, label_set_of(name, tuple(classes), given, rest), rest)
    notes = tuple(
        f"{count} shapes of kind '{kind}' enclose nothing and are left out" for kind, count in left_out.items()
    )
    return Source(data, by_split([entry.split for entry in images], names), notes)


def _root(path: Path) -> Element:
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; expected the file of a task exported as 'CVAT for images 1.1'"
        ) from None
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as cause:
        raise DataError(f"{path} cannot be read as XML: {cause}") from None
    if root.tag != "annotations":
        raise DataError(f"{path} is not CVAT's: it begins with <{root.tag}>, expected <annotations>")
    return root


def _declared(root: Element, path: Path) -> dict[str, Colour | None]:
    """The labels in <meta>, with their colours."""
    found: dict[str, Colour | None] = {}
    for label in root.iterfind("meta//labels/label"):
        if label.get("parent") or label.findtext("parent"):
            continue  # a point of a skeleton
        text = (label.findtext("color") or "").removeprefix("#")
        try:
            found[(label.findtext("name") or "").strip()] = _colour(bytes.fromhex(text))
        except ValueError:
            raise DataError(f"{path}: the colour '{text}' of a label is not six hexadecimal digits") from None
    return found


def _colour(values: bytes) -> Colour | None:
    return (values[0], values[1], values[2]) if len(values) == 3 else None


def _shape(element: Element, size_px: tuple[int, int], where: str) -> Shape:
    label = element.get("label", "").strip()
    where = f"{where}: {element.tag} '{label}'"
    if not label:
        raise LabelError(f"{where} has no label")
    return Shape(label, _outline(element, size_px, where))


def _outline(element: Element, size_px: tuple[int, int], where: str) -> Outline:
    def number(key: str, absent: str | None = None) -> float:
        return _number(element, key, where, absent)

    if element.tag == "box":
        corners = (number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        return Polygons((rectangle(*corners, number("rotation", "0")),))
    if element.tag == "ellipse":
        centre, radii = (number("cx"), number("cy")), (number("rx"), number("ry"))
        return Polygons((ellipse(centre, radii, number("rotation", "0")),))
    if element.tag == "polygon":
        return Polygons((_points(element.get("points", ""), where),))
    top, left, height, width = (int(number(key)) for key in ("top", "left", "height", "width"))
    if height > size_px[0] or width > size_px[1]:
        raise LabelError(f"{where} is {height}x{width} in an image of {size_px[0]}x{size_px[1]}")
    try:
        counts = [int(text) for text in element.get("rle", "").split(",")]
        return RunLengths(counts, (height, width), top, left)
    except ValueError as cause:
        raise LabelError(f"{where} cannot be read: {cause}") from None


def _points(text: str, where: str) -> Points:
    try:
        points = np.array([[float(n) for n in pair.split(",")] for pair in text.split(";")], np.float64)
    except ValueError:
        points = np.empty((0, 0))
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise LabelError(f"{where} has the points '{text:.40}'; expected at least three as x,y;x,y;x,y")
    return points


def _number(element: Element, key: str, where: str, absent: str | None = None) -> float:
    text = element.get(key, absent)
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise LabelError(f"{where}: {key} of <{element.tag}> is '{text}'; expected a number")
    return value
