import numpy as np
import pytest

from segnet.data.exporters.outlines import trace
from segnet.data.importers.polygons import Polygons
from segnet.data.importers.shapes import Shape, draw_shapes
from segnet.data.street.scenes import Street


def drawn_again(target: np.ndarray) -> np.ndarray:
    shapes = [Shape(str(o.class_id), Polygons((np.array(o.corners, np.float64),))) for o in trace(target)]
    ids = {str(class_id): class_id for class_id in range(256)}
    return draw_shapes(shapes, target.shape, ids, rest=254)[0]


@pytest.mark.parametrize("seed", range(8))
def test_noise_comes_back_pixel_for_pixel(seed: int) -> None:
    target = np.random.default_rng(seed).integers(0, 3, (13, 17)).astype(np.uint8)
    assert np.array_equal(drawn_again(target), target)


def test_a_drawn_street_comes_back_pixel_for_pixel() -> None:
    target = Street(1, (48, 64), seed=5)[0].target
    assert np.array_equal(drawn_again(target), target)


def test_what_lies_in_a_hole_comes_after_it() -> None:
    target = np.zeros((6, 7), np.uint8)
    target[1:5, 1:6] = 1
    target[2:4, 2:5] = 2
    outlines = trace(target)
    assert [(o.class_id, o.area_px) for o in outlines] == [(0, 42), (1, 20), (2, 6)]
    assert sorted(outlines[2].corners) == [(2, 2), (2, 4), (5, 2), (5, 4)]  # corners alone, none along an edge


def test_pieces_that_touch_at_a_corner_are_apart() -> None:
    assert len(trace(np.eye(3, dtype=np.uint8))) == 5
