"""Tracing: from a target to polygons that, drawn one over the other, give the same target."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# of a walk east, south, west, north: the step (row, column), and the pixels ahead on the right and on the left of a
# corner, as offsets from the pixel that is south-east of it
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
_RIGHT = ((0, 0), (0, -1), (-1, -1), (-1, 0))
_LEFT = ((-1, 0), (0, 0), (0, -1), (-1, -1))

Corners = list[tuple[float, float]]  # whole numbers as traced, halves where simplified


class Outline(NamedTuple):
    """The border of a connected component of one class.

    Attributes:
        class_id: of the component.
        corners: (x, y) along the edges of its pixels; pixel (row, column) covers x from column to column + 1.
            They are those of the outer border.
        holes: borders of the holes, where requested; holes that touch at a corner are separate.
    """

    class_id: int
    corners: Corners
    holes: tuple[Corners, ...] = ()

    @property
    def area_px(self) -> int:
        """Pixels inside the border, those of holes among them."""
        x, y = np.array(self.corners, np.float64).T
        return round(float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2)


def trace(target: np.ndarray, *, holes: bool = False) -> list[Outline]:
    """The outlines of all connected components of a target.

    A component inside the hole of another comes after it, so holes need no polygons of their own: filling the outlines
    in this order, by pixel centres, gives the target back, pixel for pixel.

    Args:
        target: class ids or `VOID`, uint8 (H, W).
        holes: give the borders of holes too, for readers that do not fill in this order.
    """
    outlines = []
    for class_id in np.unique(target).tolist():
        components, _ = ndimage.label(target == class_id)
        for number, box in enumerate(ndimage.find_objects(components), 1):
            top, left = box[0].start, box[1].start
            component = components[box] == number
            corners = _outer_border(component)
            inner = tuple(_moved(hole, left, top) for hole in _holes(component)) if holes else ()
            outlines.append(Outline(class_id, _moved(corners, left, top), inner))
    return sorted(outlines, key=lambda outline: -outline.area_px)


def _moved(corners: Corners, left: int, top: int) -> Corners:
    return [(x + left, y + top) for x, y in corners]


def _holes(component: NDArray[np.bool_]) -> list[Corners]:
    parts, _ = ndimage.label(ndimage.binary_fill_holes(component) & ~component)
    found = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        border = _outer_border(parts[box] == number)
        found.append(_moved(border, box[1].start, box[0].start))
    return found


def _outer_border(component: NDArray[np.bool_]) -> Corners:
    """Follows the border with the component on the right; pixels that touch only at a corner are separate."""
    inside = np.pad(component, 1).tolist()
    start = (1, inside[1].index(True))
    (row, column), heading = start, 0
    corners: Corners = []
    while True:
        row, column = row + _STEPS[heading][0], column + _STEPS[heading][1]
        if not inside[row + _RIGHT[heading][0]][column + _RIGHT[heading][1]]:
            turn = 1
        elif inside[row + _LEFT[heading][0]][column + _LEFT[heading][1]]:
            turn = -1
        else:
            continue
        corners.append((column - 1, row - 1))
        heading = (heading + turn) % 4
        if (row, column) == start and heading == 0:
            return corners
