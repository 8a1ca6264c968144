import numpy as np
import pytest

from segnet.data.exporters.outlines import trace
from segnet.data.importers.annotations import Shape
from segnet.data.importers.drawing import draw_shapes
from segnet.data.importers.polygons import Polygons
from segnet.data.street.scenes import Street


def redrawn(target: np.ndarray) -> np.ndarray:
    shapes = [Shape(str(o.class_id), Polygons((np.array(o.corners, np.float64),))) for o in trace(target)]
    ids = {str(class_id): class_id for class_id in range(256)}
    return draw_shapes(shapes, target.shape, ids, 254, "file")[0]


@pytest.mark.parametrize("seed", range(8))
def test_outlines_of_noise_redraw_it_pixel_for_pixel(seed: int) -> None:
    target = np.random.default_rng(seed).integers(0, 3, (13, 17)).astype(np.uint8)
    assert np.array_equal(redrawn(target), target)


def test_outlines_of_a_street_redraw_it_pixel_for_pixel() -> None:
    target = Street(1, (48, 64), seed=5)[0].target
    assert np.array_equal(redrawn(target), target)


def test_a_component_in_a_hole_comes_after_the_one_around_it() -> None:
    target = np.zeros((6, 7), np.uint8)
    target[1:5, 1:6] = 1
    target[2:4, 2:5] = 2
    outlines = trace(target)
    assert [(o.class_id, o.area_px) for o in outlines] == [(0, 42), (1, 20), (2, 6)]
    assert sorted(outlines[2].corners) == [(2, 2), (2, 4), (5, 2), (5, 4)]  # corners alone, none along an edge


def test_components_that_touch_at_a_corner_are_separate() -> None:
    assert len(trace(np.eye(3, dtype=np.uint8))) == 5
