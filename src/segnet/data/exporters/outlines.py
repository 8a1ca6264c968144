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

Corners = list[tuple[int, int]]


class Outline(NamedTuple):
    """The outer border of a connected component of one class.

    Attributes:
        class_id: of the component.
        corners: (x, y) along the edges of its pixels; pixel (row, column) covers x from column to column + 1.
    """

    class_id: int
    corners: Corners

    @property
    def area_px(self) -> int:
        """Pixels inside the border, those of holes among them."""
        x, y = np.array(self.corners, np.int64).T
        return int(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))) // 2


def trace(target: np.ndarray) -> list[Outline]:
    """The outlines of all connected components of a target.

    A component inside the hole of another comes after it, so holes need no polygons of their own: filling the outlines
    in this order, by pixel centres, gives the target back, pixel for pixel.

    Args:
        target: class ids or `VOID`, uint8 (H, W).
    """
    outlines = []
    for class_id in np.unique(target).tolist():
        components, _ = ndimage.label(target == class_id)
        for number, box in enumerate(ndimage.find_objects(components), 1):
            top, left = box[0].start, box[1].start
            corners = _outer_border(components[box] == number)
            outlines.append(Outline(class_id, [(x + left, y + top) for x, y in corners]))
    return sorted(outlines, key=lambda outline: -outline.area_px)


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
