"""One element of a CVAT file, such as <polygon>, as a shape."""

from xml.etree.ElementTree import Element

import numpy as np

from segnet.data.importers.annotations import Outline, Shape
from segnet.data.importers.classes import plain_name
from segnet.data.importers.polygons import Points, Polygons, ellipse, rectangle
from segnet.data.importers.problems import Problems
from segnet.data.importers.run_lengths import RunLengths
from segnet.errors import LabelError

WITH_AREA = ("polygon", "mask", "box", "ellipse")


def cvat_shapes(
    elements: list[tuple[str, Element]], size_px: tuple[int, int], where: str, problems: Problems
) -> tuple[Shape, ...]:
    """The shapes of one image in drawing order: by `z_order`, those of the same order as in the file.

    Args:
        elements: label and element of each shape; the element's tag is one of `WITH_AREA`.
        size_px: (height, width) of the image.
        where: file and image, for messages.
        problems: gets the shapes that are broken.
    """
    drawn = list[tuple[float, Shape]]()
    for label, element in elements:
        with problems.collect():
            z_order = cvat_number(element, "z_order", where, "0")
            drawn.append((z_order, _shape(label.strip(), element, size_px, where)))
    drawn.sort(key=lambda pair: pair[0])
    return tuple(shape for _, shape in drawn)


def _shape(label: str, element: Element, size_px: tuple[int, int], where: str) -> Shape:
    where = f"{where}: {element.tag} '{label}'"
    if not label:
        raise LabelError(f"{where} has no label")
    return Shape(plain_name(label), _outline(element, size_px, where))


def _outline(element: Element, size_px: tuple[int, int], where: str) -> Outline:
    def number(key: str, absent: str | None = None) -> float:
        return cvat_number(element, key, where, absent)

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


def cvat_number(element: Element, key: str, where: str, absent: str | None = None) -> float:
    """An attribute that holds a finite number.

    Raises:
        LabelError: it is missing where `absent` is None, or is no such number.
    """
    text = element.get(key, absent)
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise LabelError(f"{where}: {key} of <{element.tag}> is '{text}'; expected a number")
    return value
