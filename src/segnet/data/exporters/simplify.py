"""Outlines with fewer corners, such that neighbouring polygons still share their border: no gaps, no overlaps.

Borders are cut where three regions meet. Each part is simplified by itself, always in the same direction, so both
neighbours get the same corners. A slanted border, which is a staircase of pixels, is followed through the middles of
its steps: then neither neighbour gains.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segnet.data.exporters.outlines import Corners, Outline

_Vertices = NDArray[np.float64]  # (P, 2) as (x, y), in halves
_CORNER_SIDE_PX = 3  # a turn between two sides of this length is a corner of the thing, not a step of a staircase


def simplify(target: np.ndarray, outlines: Sequence[Outline], tolerance_px: float) -> list[Outline]:
    """Leaves out corners whose loss moves the border by at most `tolerance_px`.

    Args:
        target: that was traced, uint8 (H, W).
        outlines: of `trace`.
        tolerance_px: largest distance of a dropped point from the new border; 0 keeps the borders of the pixels.

    Source:
        Douglas and Peucker, 1973, on the arcs between junctions, as in TopoJSON.
    """
    if tolerance_px <= 0:
        return list(outlines)
    junctions = _junctions(target)
    return [
        outline._replace(
            corners=_ring(outline.corners, junctions, tolerance_px),
            holes=tuple(_ring(hole, junctions, tolerance_px) for hole in outline.holes),
        )
        for outline in outlines
    ]


def _junctions(target: np.ndarray) -> NDArray[np.bool_]:
    """Where at least three borders meet, and the corners of the image: bool (H + 1, W + 1), by vertex."""
    padded = np.pad(target.astype(np.int16), 1, constant_values=-1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    borders = (a != b).astype(np.uint8) + (b != d) + (d != c) + (c != a)
    found: NDArray[np.bool_] = borders >= 3
    found[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return found


def _ring(corners: Corners, junctions: NDArray[np.bool_], tolerance_px: float) -> Corners:
    """A closed border, simplified; as it was where fewer than three corners or no area would be left."""
    vertices, is_cut = _points(np.array(corners, np.int64), junctions)
    cuts = np.flatnonzero(is_cut)
    if len(cuts) == 0:  # an island: begins at its first corner in reading order, whoever traced it
        cuts = np.lexsort((vertices[:, 0], vertices[:, 1]))[:1]
    vertices = np.roll(vertices, -int(cuts[0]), axis=0)
    places = [*(cuts - cuts[0]).tolist(), len(vertices)]
    closed = np.concatenate((vertices, vertices[:1]))
    kept: list[_Vertices] = []
    for begin, end in pairwise(places):
        kept += [arc[:-1] for arc in _arcs(closed[begin : end + 1], tolerance_px)]
    ring = np.concatenate(kept)
    x, y = ring.T
    if len(ring) < 3 or x @ np.roll(y, -1) == y @ np.roll(x, -1):
        return corners
    return [(float(px), float(py)) for px, py in ring]


def _arcs(arc: _Vertices, tolerance_px: float) -> list[_Vertices]:
    """One arc, simplified; one that ends where it begins as two, cut at its farthest corner."""
    if not np.array_equal(arc[0], arc[-1]):
        return [_arc(arc, tolerance_px)]
    distance = ((arc - arc[0]) ** 2).sum(1)
    far = max(range(len(arc)), key=lambda place: (distance[place], *arc[place].tolist()))
    return [_arc(arc[: far + 1], tolerance_px), _arc(arc[far:], tolerance_px)]


def _arc(arc: _Vertices, tolerance_px: float) -> _Vertices:
    """Douglas and Peucker from the end that comes first in reading order, for the same result both ways."""
    backwards = arc[0].tolist() > arc[-1].tolist()
    ordered = arc[::-1] if backwards else arc
    keep = np.zeros(len(ordered), bool)
    keep[[0, -1]] = True
    open_spans = [(0, len(ordered) - 1)]
    while open_spans:
        first, last = open_spans.pop()
        if last - first < 2:
            continue
        along = ordered[last] - ordered[first]
        offsets = ordered[first + 1 : last] - ordered[first]
        share = np.clip(offsets @ along / max(float(along @ along), 0.25), 0, 1)  # of the way along the chord
        distance = np.hypot(*(offsets - share[:, None] * along).T)
        place = int(distance.argmax())
        if distance[place] > tolerance_px:
            middle = first + 1 + place
            keep[middle] = True
            open_spans += [(first, middle), (middle, last)]
    result = ordered[keep]
    return result[::-1] if backwards else result


def _points(corners: NDArray[np.int64], junctions: NDArray[np.bool_]) -> tuple[_Vertices, NDArray[np.bool_]]:
    """Points on a closed border of pixels that simplification chooses from, and which of them are junctions.

    They are the middle of each pixel's edge, the junctions, and the corners between long sides.
    """
    edges, steps, first = _edges(corners)
    here = junctions[edges[:, 1], edges[:, 0]]
    ends = np.flatnonzero(first | here)  # where a side begins; sides end at junctions too, as they do for the neighbour
    lengths = np.diff(np.append(ends, ends[0] + len(edges)))
    long = lengths >= _CORNER_SIDE_PX
    is_corner = np.zeros(len(edges), bool)
    is_corner[ends] = long & np.roll(long, 1)
    is_corner |= here
    points = np.stack((edges.astype(np.float64), edges + steps / 2), axis=1).reshape(-1, 2)
    chosen = np.stack((is_corner, np.ones_like(is_corner)), axis=1).ravel()
    cut = np.stack((here, np.zeros_like(here)), axis=1).ravel()
    return points[chosen], cut[chosen]


def _edges(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Where each pixel's edge of a closed border begins, its direction, and whether it is the first of its side."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.abs(sides).sum(1)
    which = np.repeat(np.arange(len(corners)), lengths)
    step = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    directions = np.sign(sides)[which]
    return corners[which] + directions * step[:, None], directions, step == 0
