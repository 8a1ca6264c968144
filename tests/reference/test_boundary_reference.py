"""Boundary F1 and trimaps against all pairs of distances, the Berkeley boundary code's steps and an assignment."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from segnet.labels import VOID
from segnet.metrics.boundary import boundary_f1, boundary_f1_authors, trimap
from segnet.metrics.confusion import confusion_counts

NUM_CLASSES = 4
Ids = NDArray[np.integer]


def images(seed: int, size: tuple[int, int]) -> tuple[Ids, Ids]:
    """A blocky target with void, and a prediction that is the target shifted by a pixel, with mistakes."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.integers(0, NUM_CLASSES, (-(-height // 4), -(-width // 4)))
    full = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
    prediction = np.where(rng.random(size) < 0.05, rng.integers(0, NUM_CLASSES, size), np.roll(full, 1, 1))
    target = np.where(rng.random(size) < 0.05, VOID, full)
    target[: height // 4, : width // 3] = VOID
    return prediction.astype(np.uint8), target.astype(np.uint8)


def loop_boundary(class_ids: Ids, target: Ids, class_id: int) -> list[tuple[int, int]]:
    height, width = class_ids.shape
    points = []
    for y, x in np.ndindex(height, width):
        if class_ids[y, x] != class_id or target[y, x] == VOID:
            continue
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        beside = [(v, u) for v, u in beside if 0 <= v < height and 0 <= u < width and target[v, u] != VOID]
        if any(class_ids[v, u] != class_id for v, u in beside):
            points.append((y, x))
    return points


def slow_boundary_f1(prediction: Ids, target: Ids, tolerance: float) -> float:
    limit = tolerance * math.sqrt(target.shape[0] ** 2 + target.shape[1] ** 2)
    scores = []
    for class_id in sorted(set(target.flatten().tolist()) - {VOID}):
        expected, got = (loop_boundary(ids, target, class_id) for ids in (target, prediction))
        if not expected and not got:
            continue
        if not expected or not got:
            scores.append(0.0)
            continue
        distance = cdist(got, expected)
        precision, recall = (distance.min(1) <= limit).mean(), (distance.min(0) <= limit).mean()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(scores)) if scores else math.nan


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(1, 20), (16, 12), (23, 31)])
@pytest.mark.parametrize("tolerance", [0.0, 0.0075, 0.03, 0.06, 0.2])
def test_the_papers_form_against_all_pairs(seed: int, size: tuple[int, int], tolerance: float) -> None:
    prediction, target = images(seed, size)
    ours = boundary_f1(prediction, target, NUM_CLASSES, tolerance)
    # the same quotients of integers in float64
    assert ours == pytest.approx(slow_boundary_f1(prediction, target, tolerance), rel=1e-12, nan_ok=True)


def berkeley_boundary(own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`seg2bdry(mask, 'imageSize')`: draw the cracks between pixels on a grid of double size, then halve it."""
    height, width = own.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), dtype=bool)
    grid[2:-1:2, 1::2] = own[1:] != own[:-1]
    grid[1::2, 2:-1:2] = own[:, 1:] != own[:, :-1]
    crossing = grid[1:-2:2, 2:-1:2] | grid[3::2, 2:-1:2] | grid[2:-1:2, 1:-2:2] | grid[2:-1:2, 3::2]
    grid[2:-1:2, 2:-1:2] = crossing
    grid[-1] = grid[-2]
    grid[:, -1] = grid[:, -2]
    return grid[2::2, 2::2]


def slow_authors_f1(prediction: Ids, target: Ids, tolerance: float) -> float:
    """Each pixel may also stay alone at 100 times the tolerance; the cheapest assignment is found in full."""
    limit = tolerance * math.sqrt(target.shape[0] ** 2 + target.shape[1] ** 2)
    alone = 100 * limit
    total, classes = 0.0, 0
    for class_id in range(NUM_CLASSES):
        expected, got = (np.argwhere(berkeley_boundary(ids == class_id)) for ids in (target, prediction))
        classes += bool(len(expected) or len(got))
        if not len(expected) or not len(got):
            continue
        distance = cdist(got, expected)
        impossible = 1e9
        cost = np.full((len(got) + len(expected),) * 2, impossible)
        cost[: len(got), : len(expected)] = np.where(distance <= limit, distance, impossible)
        cost[: len(got), len(expected) :][np.diag_indices(len(got))] = alone
        cost[len(got) :, : len(expected)][np.diag_indices(len(expected))] = alone
        cost[len(got) :, len(expected) :] = 0
        rows, columns = linear_sum_assignment(cost)
        matched = ((rows < len(got)) & (columns < len(expected))).sum()
        precision, recall = matched / len(got), matched / len(expected)
        total += 2 * precision * recall / (precision + recall) if matched else 0.0
    return total / classes if classes else 0.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(1, 20), (16, 12), (21, 26)])
@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.1])
def test_the_authors_form_against_a_full_assignment(seed: int, size: tuple[int, int], tolerance: float) -> None:
    prediction, target = images(seed, size)
    ours = boundary_f1_authors(prediction, target, NUM_CLASSES, tolerance)
    assert ours == pytest.approx(slow_authors_f1(prediction, target, tolerance), rel=1e-12)


@pytest.mark.parametrize("band_px", [1, 2, 3.5])
def test_trimap_against_all_pairs(band_px: float) -> None:
    prediction, target = images(3, (23, 31))
    height, width = target.shape
    contour = [
        (y, x)
        for y, x in np.ndindex(height, width)
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        if 0 <= v < height and 0 <= u < width and target[v, u] != target[y, x]
    ]
    everywhere = list(np.ndindex(height, width))
    near = (cdist(everywhere, contour).min(1) < band_px).reshape(target.shape)
    band = trimap(target, band_px)
    assert np.array_equal(band, np.where(near, target, VOID))
    counts = confusion_counts(torch.from_numpy(prediction), torch.from_numpy(band), NUM_CLASSES)
    kept = near & (target != VOID)
    assert counts.sum() == kept.sum()
    assert counts.diagonal().sum() == (prediction[kept] == target[kept]).sum()
