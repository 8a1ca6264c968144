"""Shapes become a target: drawn one over the other, in the order of the file or with small ones on top."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segnet.data.importers.annotations import Order, Shape
from segnet.data.sample import Image8
from segnet.labels import VOID


def draw_shapes(
    shapes: Sequence[Shape], size_px: tuple[int, int], ids: Mapping[str, int], rest: int, order: Order
) -> tuple[Image8, NDArray[np.bool_], int]:
    """Draws shapes, one over the other.

    Args:
        shapes: in the order of the annotation.
        size_px: (height, width) of the image.
        ids: class name -> class id; a name that it lacks means void.
        rest: id of the pixels that no shape covers.
        order: `file` draws in the order of `shapes`; `area` draws large shapes first, so that small ones stay visible.

    Returns:
        target: uint8 (H, W).
        overlapping: bool (H, W), the pixels that lie in several shapes of different classes.
        num_empty: shapes that cover no pixel.
    """
    regions = [(shape.outline.region(size_px), ids.get(shape.class_name, VOID)) for shape in shapes]
    if order == "area":
        regions.sort(key=lambda pair: -np.count_nonzero(pair[0].mask))  # stable: equal areas stay in their order
    target = np.full(size_px, rest, np.uint8)
    covered, overlapping = np.zeros(size_px, np.bool_), np.zeros(size_px, np.bool_)
    for region, class_id in regions:
        rows = slice(region.top, region.top + region.mask.shape[0])
        box = (rows, slice(region.left, region.left + region.mask.shape[1]))
        overlapping[box] |= region.mask & covered[box] & (target[box] != class_id)
        covered[box] |= region.mask
        target[box][region.mask] = class_id
    return target, overlapping, sum(not region.mask.any() for region, _ in regions)
