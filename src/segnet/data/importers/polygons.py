"""Filling polygons: a pixel belongs to one when its centre lies inside.

Polygons with a common edge therefore leave no gap and do not overlap, unlike those drawn with their outline.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_FAR_PX = 1e7  # corners further away are moved there: their products would lose precision or overflow


@dataclass(frozen=True)
class Region:
    """Pixels of an image, within a box.

    Attributes:
        mask: bool (h, w), True for the pixels of the region.
        top: row of the box's first pixel.
        left: column of it.
    """

    mask: NDArray[np.bool_]
    top: int = 0
    left: int = 0

    def region(self, size_px: tuple[int, int]) -> "Region":
        """The part that lies in an image of (height, width)."""
        top, left = max(-self.top, 0), max(-self.left, 0)
        bottom, right = max(size_px[0] - self.top, 0), max(size_px[1] - self.left, 0)
        return Region(self.mask[top:bottom, left:right], max(self.top, 0), max(self.left, 0))


@dataclass(frozen=True)
class Polygons:
    """A shape that is the union of one or several polygons.

    Attributes:
        parts: corners (x, y) of each, (P, 2); pixel (row, column) covers x from column to column + 1, y alike.
        holes: polygons whose pixels do not belong to the shape.
    """

    parts: tuple[Points, ...]
    holes: tuple[Points, ...] = ()

    def region(self, size_px: tuple[int, int]) -> Region:
        """The pixels of an image of (height, width)."""
        regions = [fill_polygon(points, size_px) for points in self.parts]
        if len(regions) == 1 and not self.holes:
            return regions[0]
        mask = np.zeros(size_px, np.bool_)
        for r in regions:
            mask[r.top : r.top + r.mask.shape[0], r.left : r.left + r.mask.shape[1]] |= r.mask
        for r in (fill_polygon(points, size_px) for points in self.holes):
            mask[r.top : r.top + r.mask.shape[0], r.left : r.left + r.mask.shape[1]] &= ~r.mask
        return Region(mask)


def fill_polygon(points: Points, size_px: tuple[int, int]) -> Region:
    """The pixels whose centres lie inside a polygon, by the even-odd rule where it crosses itself.

    Args:
        points: corners (x, y), (P, 2); the part outside the image is cut off.
        size_px: (height, width) of the image.
    """
    height, width = size_px
    x, y = points.clip(-_FAR_PX, _FAR_PX).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first = (
        np.ceil(np.minimum(y, next_y) - 0.5).clip(0, height).astype(np.int64)
    )  # first row whose centre an edge crosses
    stop = np.ceil(np.maximum(y, next_y) - 0.5).clip(0, height).astype(np.int64)
    met = stop - first
    edge = np.repeat(np.arange(len(points)), met)
    row = np.arange(len(edge)) + np.repeat(first - np.cumsum(met) + met, met)
    if not len(row):
        return Region(np.zeros((0, 0), np.bool_))
    along = (row + 0.5 - y[edge]) / (next_y[edge] - y[edge])
    column = np.ceil(x[edge] + along * (next_x[edge] - x[edge]) - 0.5).clip(0, width).astype(np.int64)
    top, left = int(row.min()), int(column.min())
    crossed = np.zeros((int(row.max()) - top + 1, int(column.max()) - left + 1), np.uint8)
    np.bitwise_xor.at(crossed, (row - top, column - left), 1)
    inside = np.bitwise_xor.accumulate(crossed, axis=1)[:, :-1]
    return Region(inside.astype(np.bool_), top, left)


def ellipse(centre: tuple[float, float], radii: tuple[float, float], turned_degrees: float = 0.0) -> Points:
    """An ellipse as a polygon of 128 corners.

    Args:
        centre: (x, y) in pixels.
        radii: across and down, in pixels.
        turned_degrees: clockwise, as seen on the screen.
    """
    angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    points = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1)
    return turned(points + np.array(centre), centre, turned_degrees)


def rectangle(left: float, top: float, right: float, bottom: float, turned_degrees: float = 0.0) -> Points:
    """A rectangle as a polygon, turned about its middle; units as in `ellipse`."""
    points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return turned(points, ((left + right) / 2, (top + bottom) / 2), turned_degrees)


def turned(points: Points, about: tuple[float, float], degrees: float) -> Points:
    """Points (P, 2) turned clockwise, as seen on the screen."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    middle = np.array(about)
    result: Points = (points - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle
    return result
