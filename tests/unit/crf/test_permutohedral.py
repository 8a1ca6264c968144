"""The lattice against its own definition written out corner by corner, and against the Gaussian it stands for."""

from collections import defaultdict

import numpy as np
import pytest

from segnet.crf.permutohedral import PermutohedralLattice
from segnet.errors import ConfigError, ShapeError


def elevated(point: np.ndarray) -> np.ndarray:
    """Onto the plane of d + 1 coordinates with sum 0: orthonormal directions, scaled by (d + 1) sqrt(2 / 3)."""
    d = len(point)
    directions = []
    for i in range(1, d + 1):
        direction = np.array([1.0] * i + [-float(i)] + [0.0] * (d - i))
        directions.append(direction / np.linalg.norm(direction))
    return (d + 1) * np.sqrt(2 / 3) * sum(value * direction for value, direction in zip(point, directions, strict=True))


def corners_and_weights(point: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """Each corner of the simplex and its barycentric weight, coordinate by coordinate (Adams 2010, section 3.1)."""
    d = len(point)
    place = elevated(point)
    nearest = [(d + 1) * round(value / (d + 1)) for value in place]
    ranked = sorted(range(d + 1), key=lambda i: place[i] - nearest[i])
    while sum(nearest) > 0:  # lower what was rounded up most
        nearest[ranked[0]] -= d + 1
        ranked.append(ranked.pop(0))
    while sum(nearest) < 0:
        nearest[ranked[-1]] += d + 1
        ranked.insert(0, ranked.pop())
    rest = [(place[i] - nearest[i]) / (d + 1) for i in ranked[::-1]]  # falling
    found = []
    for k in range(d + 1):
        corner = list(nearest)
        for position, i in enumerate(ranked[::-1]):
            corner[i] += k if position <= d - k else k - (d + 1)
        weight = rest[d - k] - rest[d + 1 - k] if k else 1 + rest[d] - rest[0]
        found.append((tuple(corner), weight))
    return found


def filtered(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Splat, blur and slice with a dictionary; the corners are those of the simplices and one ring around them."""
    d = features.shape[1]
    steps = [tuple(-d if i == j else 1 for i in range(d + 1)) for j in range(d + 1)]

    def moved(corner: tuple[int, ...], step: tuple[int, ...], sign: int) -> tuple[int, ...]:
        return tuple(c + sign * s for c, s in zip(corner, step, strict=True))

    simplices = [corners_and_weights(point) for point in features]
    occupied = {corner for simplex in simplices for corner, _ in simplex}
    held = {c: 0.0 for corner in occupied for c in [corner, *(moved(corner, s, g) for s in steps for g in (1, -1))]}
    for simplex, value in zip(simplices, values, strict=True):
        for corner, weight in simplex:
            held[corner] += weight * value
    for step in steps:
        old = defaultdict(float, held)
        held = {c: old[c] + 0.5 * (old.get(moved(c, step, 1), 0.0) + old.get(moved(c, step, -1), 0.0)) for c in held}
    return np.array([sum(weight * held[corner] for corner, weight in simplex) for simplex in simplices])


@pytest.mark.parametrize("num_features", [1, 2, 3, 5])
def test_the_packed_lattice_is_the_lattice_of_the_definition(num_features: int) -> None:
    rng = np.random.default_rng(num_features)
    features = 1.5 * rng.normal(size=(60, num_features))
    values = rng.random((60, 2)).astype(np.float32)
    expected = np.stack([filtered(features, column) for column in values.T], axis=1)
    # float32 sums of some 60 values below 2
    np.testing.assert_allclose(PermutohedralLattice(features)(values), expected, rtol=1e-5, atol=1e-5)


def test_points_on_corners_and_at_equal_distances_are_no_trouble() -> None:
    features = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.5, -0.5], [0.0, 0.0, 0.0]])
    values = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)
    got = PermutohedralLattice(features)(values)
    kernel = np.exp(-0.5 * np.square(features[:, None] - features).sum(-1))
    expected = (kernel @ values)[:, 0]
    assert got[0] == got[3]
    # the kernel's own error, undivided where four points meet alone; a wrong corner would be far off
    np.testing.assert_allclose(got[:, 0] / got.sum(), expected / expected.sum(), rtol=0.25)


@pytest.mark.parametrize(("num_features", "largest"), [(1, 0.02), (2, 0.04), (3, 0.06)])
def test_on_a_dense_grid_it_is_nearly_a_gaussian(num_features: int, largest: float) -> None:
    """Weighted means over the grid, whose values span 0..1. The tolerance is the lattice's own error: its kernel is a
    piecewise linear hill of the Gaussian's variance, not a Gaussian, and the wave is shorter in more features.
    """
    side = {1: 200, 2: 24, 3: 9}[num_features]
    axes = np.meshgrid(*[np.linspace(0, 6, side)] * num_features, indexing="ij")
    features = np.stack([axis.ravel() for axis in axes], axis=1)
    values = (0.5 + 0.5 * np.sin(features.sum(1)))[:, None].astype(np.float32)
    kernel = np.exp(-0.5 * np.square(features[:, None] - features).sum(-1))
    lattice = PermutohedralLattice(features)
    mean = lattice(values) / lattice(np.ones_like(values))
    expected = kernel @ values / kernel.sum(1, keepdims=True)
    assert expected.std() > 0.1
    assert np.abs(mean - expected).max() < largest
    assert np.abs(mean - expected).mean() < largest / 3


def test_far_points_do_not_meet() -> None:
    lattice = PermutohedralLattice(np.array([[0.0, 0.0], [0.0, 0.0], [40.0, -30.0]]))
    got = lattice(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32))
    assert (got[0, 1], got[2, 0]) == (0, 0)
    assert got[0, 0] == pytest.approx(
        2 * got[2, 1], rel=0.5
    )  # two values against one; the place in the simplex matters


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ShapeError, match=r"features \(N, d\)"):
        PermutohedralLattice(np.zeros((0, 5)))
    with pytest.raises(ConfigError, match="finite features"):
        PermutohedralLattice(np.array([[np.nan, 0.0]]))
    for far in (1e5, 1e30):
        with pytest.raises(ConfigError, match="use larger standard deviations"):
            PermutohedralLattice(np.array([[0.0] * 5, [far] * 5]))
    with pytest.raises(ShapeError, match=r"expects a value for each point, \(2, C\)"):
        PermutohedralLattice(np.zeros((2, 5)))(np.zeros((3, 1), np.float32))
