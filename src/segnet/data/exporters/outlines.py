"""Tracing: from a map of classes to polygons that, drawn one over the other, give the same map."""

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
    """The outer border of a connected piece of one class.

    Attributes:
        class_id: of the piece.
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
    """The outlines of all pieces of a map.

    A piece inside another's hole comes after it, so holes need no words: who fills the outlines in this order, by pixel
    centres, gets the map back, pixel for pixel.

    Args:
        target: class ids or `VOID`, uint8 (H, W).
    """
    outlines = []
    for class_id in np.unique(target).tolist():
        pieces, _ = ndimage.label(target == class_id)
        for number, box in enumerate(ndimage.find_objects(pieces), 1):
            top, left = box[0].start, box[1].start
            corners = _outer_border(pieces[box] == number)
            outlines.append(Outline(class_id, [(x + left, y + top) for x, y in corners]))
    return sorted(outlines, key=lambda outline: -outline.area_px)


def _outer_border(piece: NDArray[np.bool_]) -> Corners:
    """Walks along the border of a piece, which stays on the right hand; pixels that touch at a corner are apart."""
    inside = np.pad(piece, 1).tolist()
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
