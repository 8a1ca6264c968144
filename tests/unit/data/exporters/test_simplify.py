import numpy as np
import pytest

from segnet.data.exporters.outlines import trace
from segnet.data.exporters.simplify import simplify
from segnet.data.importers.annotations import Shape
from segnet.data.importers.drawing import draw_shapes
from segnet.data.importers.polygons import Polygons
from segnet.data.street.scenes import Street

NOBODY = 254


def redrawn(target: np.ndarray, tolerance_px: float) -> np.ndarray:
    outlines = simplify(target, trace(target), tolerance_px)
    shapes = [Shape(str(o.class_id), Polygons((np.array(o.corners, np.float64),))) for o in outlines]
    return draw_shapes(shapes, target.shape, {str(i): i for i in range(256)}, NOBODY, "file")[0]


def test_a_square_keeps_its_corners_and_a_slope_becomes_one_line() -> None:
    target = np.zeros((12, 12), np.uint8)
    target[3:9, 3:9] = 1
    square = simplify(target, trace(target), 0.5)[1]
    assert sorted(square.corners) == [(3, 3), (3, 9), (9, 3), (9, 9)]
    slope = np.tri(12, dtype=np.uint8)
    below = simplify(slope, trace(slope), 0.5)
    assert {o.class_id: len(o.corners) for o in below} == {0: 3, 1: 5}  # its first row has one pixel
    # the line begins at a junction, so it runs through the centres of pixels: which side they are on is rounding
    assert (redrawn(slope, 0.5) != slope).sum() <= 11


@pytest.mark.parametrize("tolerance_px", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_neighbours_share_their_border_so_nothing_is_left_uncovered(seed: int, tolerance_px: float) -> None:
    noise = np.random.default_rng(seed).random((40, 50))
    smooth = (noise[:-4, :-4] + noise[4:, 4:] + noise[2:-2, 2:-2] > 1.5).astype(np.uint8)
    assert not (redrawn(smooth, tolerance_px) == NOBODY).any()


def test_tolerance_0_keeps_every_pixel_and_half_a_pixel_keeps_the_classes() -> None:
    target = Street(1, (120, 160), seed=5)[0].target
    assert np.array_equal(redrawn(target, 0), target)
    close = redrawn(target, 0.5)
    for class_id in np.unique(target):
        both, either = ((close == class_id) & (target == class_id)), ((close == class_id) | (target == class_id))
        assert both.sum() / either.sum() > 0.9, class_id
    assert (close == target).mean() > 0.997
    corners = [sum(len(o.corners) for o in simplify(target, trace(target), t)) for t in (0, 0.5, 2)]
    assert corners[1] < 0.7 * corners[0]
    assert corners[2] < corners[1]


def test_the_border_of_a_hole_is_that_of_the_thing_in_it() -> None:
    rows, columns = np.mgrid[:30, :30]
    target = ((rows - 15) ** 2 + (columns - 14) ** 2 < 60).astype(np.uint8)
    around, disc = simplify(target, trace(target, holes=True), 0.7)
    (hole,) = around.holes
    assert set(hole) == set(disc.corners)
    assert len(hole) < 24
    assert disc.holes == ()
