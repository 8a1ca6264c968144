import numpy as np
import pytest

from segnet.data.importers.polygons import Polygons, Region, ellipse, fill_polygon, rectangle


def whole(region: Region, size_px: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size_px, np.bool_)
    mask[region.top : region.top + region.mask.shape[0], region.left : region.left + region.mask.shape[1]] = region.mask
    return mask


def filled(points: list[tuple[float, float]], size_px: tuple[int, int]) -> np.ndarray:
    return whole(fill_polygon(np.array(points, np.float64), size_px), size_px)


def by_hand(points: list[tuple[float, float]], size_px: tuple[int, int]) -> np.ndarray:
    """Each pixel's centre by itself: how many edges lie to the left of it."""
    mask = np.zeros(size_px, np.bool_)
    for row, column in np.ndindex(size_px):
        x, y = column + 0.5, row + 0.5
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
            if (ay > y) != (by > y) and ax + (y - ay) / (by - ay) * (bx - ax) <= x:
                mask[row, column] ^= True
    return mask


@pytest.mark.parametrize("seed", range(20))
def test_any_polygon_is_filled_as_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(x, y) for x, y in rng.uniform(-6, 24, (rng.integers(3, 9), 2)).tolist()]
    assert np.array_equal(filled(points, (16, 20)), by_hand(points, (16, 20)))


def test_neighbours_with_a_common_edge_leave_no_gap_and_do_not_overlap() -> None:
    left = filled([(0, 0), (7.3, 0), (3.1, 10), (0, 10)], (10, 12))
    right = filled([(7.3, 0), (12, 0), (12, 10), (3.1, 10)], (10, 12))
    assert (left ^ right).all()


def test_whole_pixels_and_what_lies_outside() -> None:
    assert filled([(1, 1), (4, 1), (4, 3), (1, 3)], (5, 6)).nonzero()[0].tolist() == [1, 1, 1, 2, 2, 2]
    assert filled([(-9, -9), (99, -9), (99, 99), (-9, 99)], (5, 6)).all()
    assert not filled([(7, 0), (9, 0), (9, 5)], (5, 6)).any()
    assert filled([(-1e300, -1e300), (1e300, -1e300), (0, 1e300)], (5, 6)).all()


def test_a_polygon_that_crosses_itself_is_empty_where_it_is_enclosed_twice() -> None:
    twice = filled([(0, 0), (4, 0), (4, 4), (0, 4)] * 2, (4, 4))
    assert not twice.any()


def test_parts_are_taken_together() -> None:
    parts = tuple(np.array(p, np.float64) for p in ([(0, 0), (2, 0), (2, 2), (0, 2)], [(1, 1), (4, 1), (4, 3), (1, 3)]))
    mask = whole(Polygons(parts).region((4, 5)), (4, 5))
    assert mask.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]


def test_a_rectangle_turned_by_90_degrees_and_a_circle() -> None:
    upright = filled([tuple(p) for p in rectangle(1, 3, 7, 5, 90).tolist()], (8, 8))
    assert upright.sum(axis=0).tolist() == [0, 0, 0, 6, 6, 0, 0, 0]
    disc = filled([tuple(p) for p in ellipse((20, 20), (15, 15)).tolist()], (40, 40))
    rows, columns = np.mgrid[:40, :40] + 0.5
    assert np.array_equal(disc, np.hypot(columns - 20, rows - 20) < 15)


def test_a_mask_that_hangs_over_the_edges_is_cut() -> None:
    cut = Region(np.eye(4, dtype=np.bool_), top=-1, left=-1).region((2, 3))
    assert (cut.top, cut.left, cut.mask.tolist()) == (0, 0, [[True, False, False], [False, True, False]])
    assert not Region(np.ones((2, 2), np.bool_), top=9, left=0).region((2, 3)).mask.size
