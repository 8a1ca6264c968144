"""Boundary F1 (BF) and trimaps: how well a prediction follows the contours, one image at a time.

IoU rewards large flat regions; BF looks only at contours. Both forms that the paper and its authors' script use are
here, because they give different numbers for the same image:

    boundary_f1           the paper's text: the classes of the target are averaged, a boundary pixel is right when one
                          of the other image's is near it
    boundary_f1_authors   their script: classes of target or prediction are averaged, pixels are paired one to one

**Void.** `boundary_f1` treats void as outside the image, like the image's own edge: an edge counts where both
pixels that it separates are labelled. Where an object meets void its outline is not labelled, so no prediction can be
right or wrong there, and predictions inside void never change the score. A drawback: in datasets that line every
contour with void (PASCAL VOC) few boundaries remain; use `trimap` for them.

A dataset's score is the mean over its images (`mean_over_images`), by BF's definition.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from segnet.errors import ConfigError, LabelError, ShapeError
from segnet.labels import VOID

ClassIds = NDArray[np.integer]
Mask = NDArray[np.bool_]

_NONE = -1


def boundary_f1(prediction: ClassIds, target: ClassIds, num_classes: int, tolerance: float = 0.0075) -> float:
    """Boundary F1 of one image as the paper defines it.

    A boundary pixel of a class is a pixel of that class beside (above, below, left, right) a labelled pixel of another
    class; the image's own edge is none. It is right when a boundary pixel of the same class lies within the tolerance
    in the other image. Precision is the share of the prediction's that are right, recall that of the target's.

    Args:
        prediction: class ids 0..K-1, any integer type (H, W); values at void pixels of the target are not read.
        target: class ids or `VOID`, any integer type (H, W).
        num_classes: K.
        tolerance: Euclidean distance between pixel centres, as a share of the image's diagonal; inclusive.

    Returns:
        F1 averaged over the target's classes, 0..1. A class with a boundary in one of the two images only scores 0,
        one with a boundary in neither is left out; NaN when none remains.

    Raises:
        ShapeError: not two images (H, W) of one size.
        LabelError: an id that is neither a class nor void; says which and how many pixels.
        ConfigError: a negative tolerance.

    Source:
        SegNet, section 4.1 (0.75 % of the diagonal; "each class that is present in the ground truth test image"), after
        Csurka, Larlus, Perronnin: What is a good evaluation measure for semantic segmentation?, BMVC 2013.
    """
    _check(prediction, target, num_classes, tolerance)
    labelled = target != VOID
    offsets = _disc(tolerance * math.hypot(*target.shape))
    expected, got = _boundary_class(target, labelled), _boundary_class(prediction, labelled)
    expected_pixels, expected_right = _count_near(expected, got, offsets, num_classes)
    got_pixels, got_right = _count_near(got, expected, offsets, num_classes)
    present = np.bincount(target[labelled], minlength=num_classes) > 0
    counted = present & (expected_pixels + got_pixels > 0)
    if not counted.any():
        return math.nan
    return float(_f1(got_right, got_pixels, expected_right, expected_pixels)[counted].mean())


def boundary_f1_authors(prediction: ClassIds, target: ClassIds, num_classes: int, tolerance: float = 0.0075) -> float:
    """Boundary F1 of one image as the authors' script computes it, for comparison with the paper's tables.

    It differs from `boundary_f1` in four ways. Boundary pixels are those whose 2x2 block (with the pixels right, below
    and diagonal) is not of one side only. They are paired one to one. A class counts when it has a boundary in the
    target or in the prediction, so a class that is only predicted scores 0. Void gets no special treatment: it is just
    not a class, its edges are boundaries, and predictions inside it count.

    Args:
        prediction: class ids 0..K-1, any integer type (H, W).
        target: class ids or `VOID`, any integer type (H, W).
        num_classes: K.
        tolerance: Euclidean distance between pixel centres, as a share of the image's diagonal; inclusive.

    Returns:
        F1 averaged over the classes with a boundary, 0..1. It is 0 for an image without one: their divisor is the
        number of all images, so the plain mean of these values is their score.

    Raises:
        ShapeError: not two images (H, W) of one size.
        LabelError: an id that is neither a class nor void; says which and how many pixels.
        ConfigError: a negative tolerance.

    Source:
        The authors' computeBFmeasure.m, with `seg2bdry` and `correspondPixels` of the Berkeley benchmark (Martin,
        Fowlkes, Malik, PAMI 26(5), 2004).

    Deviates:
        `correspondPixels` solves a min-cost assignment in which leaving a pixel alone costs 100 times the tolerance;
        here the largest possible number of pairs within the tolerance is found. Only that number enters the score, and
        at such a cost the two agree, except for the random graph edges that keep their problem sparse.
    """
    _check(prediction, target, num_classes, tolerance)
    offsets = _disc(tolerance * math.hypot(*target.shape))
    scores = []
    for class_id in range(num_classes):
        expected, got = _corner_boundary(target == class_id), _corner_boundary(prediction == class_id)
        expected_pixels, got_pixels = np.count_nonzero(expected), np.count_nonzero(got)
        if expected_pixels or got_pixels:
            pairs = _count_pairs(got, expected, offsets) if expected_pixels and got_pixels else 0
            scores.append(2 * pairs / (expected_pixels + got_pixels))  # 2PR / (P + R)
    return float(np.mean(scores)) if scores else 0.0


def mean_over_images(scores: Iterable[float]) -> tuple[float, int]:
    """Mean over the images that have a score, and their number; (NaN, 0) if there are none."""
    known = [score for score in scores if not math.isnan(score)]
    return (math.fsum(known) / len(known), len(known)) if known else (math.nan, 0)


def trimap(target: ClassIds, band_px: float) -> ClassIds:
    """Keeps the target inside a narrow band around its contours; void everywhere else.

    Counts of it are counts of the pixels that are hard to get right; compare scores over several widths. The contour
    towards void counts too, since datasets draw void along the contours of objects; void itself stays void.

    Args:
        target: class ids or `VOID`, any integer type (H, W).
        band_px: width of the band on each side of a contour; 1 keeps only the pixels that touch it.

    Returns:
        Class ids or `VOID`, (H, W), same type: a pixel keeps its class when it is nearer than `band_px` (Euclidean)
        to a pixel that touches a contour.

    Raises:
        ShapeError: not (H, W).

    Source:
        Kohli, Ladicky, Torr: Robust higher order potentials for enforcing label consistency, CVPR 2008.

    Example:
        >>> band = torch.from_numpy(trimap(target, band_px=5))
        >>> mean_iou(confusion_counts(torch.from_numpy(prediction), band, num_classes))
    """
    if target.ndim != 2:
        raise ShapeError(f"trimap: expected a target (H, W), got {target.shape}")
    contour = _touching(target, np.ones(target.shape, dtype=bool))
    if not contour.any():
        return np.full_like(target, VOID)
    return np.where(distance_transform_edt(~contour) < band_px, target, np.asarray(VOID, dtype=target.dtype))


def _check(prediction: ClassIds, target: ClassIds, num_classes: int, tolerance: float) -> None:
    if target.ndim != 2 or prediction.shape != target.shape:
        raise ShapeError(
            f"boundary F1: expected prediction and target (H, W) of one size, got {prediction.shape} and {target.shape}"
        )
    if tolerance < 0:
        raise ConfigError(f"boundary F1: expected a tolerance of at least 0 (a share of the diagonal), got {tolerance}")
    labelled = target != VOID
    for what, ids in (("target", target[labelled]), ("prediction", prediction[labelled])):
        outside = ids[(ids < 0) | (ids >= num_classes)]
        if outside.size:
            found = ", ".join(str(i) for i in np.unique(outside)[:5])
            raise LabelError(f"{what}: {outside.size} pixels of class id {found}; expected 0..{num_classes - 1}")


def _f1(
    got_right: NDArray[np.intp], got: NDArray[np.intp], expected_right: NDArray[np.intp], expected: NDArray[np.intp]
) -> NDArray[np.float64]:
    """F1 of each class (K,); 0 where it has no boundary in one of the two images."""
    precision, recall = got_right / np.maximum(got, 1), expected_right / np.maximum(expected, 1)
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


# ------------------------------------------------------------------------------------------------ boundaries


def _touching(class_ids: ClassIds, labelled: Mask) -> Mask:
    """Pixels next to one of another class, both labelled, (H, W)."""
    touching = np.zeros(class_ids.shape, dtype=bool)
    down = (class_ids[1:] != class_ids[:-1]) & labelled[1:] & labelled[:-1]
    right = (class_ids[:, 1:] != class_ids[:, :-1]) & labelled[:, 1:] & labelled[:, :-1]
    touching[1:] |= down
    touching[:-1] |= down
    touching[:, 1:] |= right
    touching[:, :-1] |= right
    return touching


def _boundary_class(class_ids: ClassIds, labelled: Mask) -> NDArray[np.int16]:
    """The class at its boundary pixels, -1 elsewhere, (H, W). A pixel is on the boundary of its own class only."""
    return np.where(_touching(class_ids, labelled), class_ids.astype(np.int16), np.int16(_NONE))


def _corner_boundary(own: Mask) -> Mask:
    """The boundary of a mask at the lower right corner of each pixel: `seg2bdry(mask, 'imageSize')`, (H, W)."""
    boundary = np.zeros(own.shape, dtype=bool)
    down, right = own[1:] != own[:-1], own[:, 1:] != own[:, :-1]
    boundary[:-1] |= down
    boundary[:-1, :-1] |= down[:, 1:]
    boundary[:, :-1] |= right  # three sides of a 2x2 block suffice: the fourth never differs alone
    return boundary


# ------------------------------------------------------------------------------------------------ matching


def _disc(radius_px: float) -> list[tuple[int, int]]:
    """Steps (dy, dx) to all pixels within the radius, nearest first."""
    reach = math.floor(radius_px)
    steps = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    return sorted((s for s in steps if math.hypot(*s) <= radius_px), key=lambda s: math.hypot(*s))


def _shifted(values: NDArray[np.integer], offsets: list[tuple[int, int]], points: Mask) -> Iterator[NDArray]:
    """For each step, the values (-1 outside the image) at that step from each point, (P,)."""
    reach = max(dy for dy, _ in offsets)
    padded = np.pad(values, reach, constant_values=_NONE)
    rows, columns = points.nonzero()
    start = (rows + reach) * padded.shape[1] + columns + reach
    for dy, dx in offsets:
        yield padded.ravel()[start + (dy * padded.shape[1] + dx)]


def _count_near(
    boundary: NDArray[np.int16], other: NDArray[np.int16], offsets: list[tuple[int, int]], num_classes: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Counts the boundary pixels of each class, and those with one of the same class near in the other: two (K,)."""
    points = boundary != _NONE
    own = boundary[points]
    near = np.zeros(own.shape, dtype=bool)
    for found in _shifted(other, offsets, points):
        near |= found == own
    return np.bincount(own, minlength=num_classes), np.bincount(own[near], minlength=num_classes)


def _count_pairs(first: Mask, second: Mask, offsets: list[tuple[int, int]]) -> int:
    """The largest number of disjoint pairs, one pixel of each mask, that are within the offsets.

    As a maximum flow from a source through the first mask's pixels, then the second's, to a sink. (SciPy's bipartite
    matching gives the same number, but takes minutes for some images.)
    """
    num_first, num_second = int(np.count_nonzero(first)), int(np.count_nonzero(second))
    source, sink = num_first + num_second, num_first + num_second + 1
    number = np.full(second.shape, _NONE, dtype=np.int32)
    number[second] = np.arange(num_first, source)
    partners = np.stack(list(_shifted(number, offsets, first)), axis=1)  # (P, offsets)
    point, step = (partners != _NONE).nonzero()
    tails = np.concatenate([np.full(num_first, source), point, np.arange(num_first, source)])
    heads = np.concatenate([np.arange(num_first), partners[point, step], np.full(num_second, sink)])
    graph = csr_array((np.ones(tails.size, dtype=np.int32), (tails, heads)), shape=(sink + 1, sink + 1))
    return int(maximum_flow(graph, source, sink).flow_value)
