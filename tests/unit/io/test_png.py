from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from segnet.errors import ShapeError
from segnet.io.png import PNGRows


@pytest.mark.parametrize("bands", [(7,), (1, 1, 5), (3, 0, 4), (6, 1)])
def test_pillow_reads_what_was_written_row_by_row(bands: tuple[int, ...]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    indices = rgb[..., 0]
    palette = bytes(range(256)) * 3
    for image, colours, mode in ((rgb, "rgb", "RGB"), (indices, "grey", "L"), (indices, palette, "P")):
        file = BytesIO()
        with PNGRows(file, (7, 5), colours) as png:
            top = 0
            for rows in bands:
                png.write(image[top : top + rows])
                top += rows
        with Image.open(file) as read:
            assert read.mode == mode
            assert np.array_equal(np.array(read), image)
            if mode == "P":
                assert bytes(read.getpalette() or ()) == colours


def test_rows_that_do_not_fit() -> None:
    for wrong in (np.zeros((1, 4, 3), np.uint8), np.zeros((1, 5), np.uint8), np.zeros((1, 5, 3), np.float32)):
        with pytest.raises(ShapeError, match=r"expects more rows, uint8 \(h, 5, 3\)"):
            PNGRows(BytesIO(), (2, 5)).write(wrong)
    with pytest.raises(ShapeError, match="with 0 rows expects more"):
        PNGRows(BytesIO(), (2, 5)).write(np.zeros((3, 5, 3), np.uint8))
    with pytest.raises(ShapeError, match="closed after 1"), PNGRows(BytesIO(), (2, 5)) as png:
        png.write(np.zeros((1, 5, 3), np.uint8))


def test_an_error_inside_is_not_hidden_by_missing_rows() -> None:
    with pytest.raises(KeyError), PNGRows(BytesIO(), (2, 5)):
        raise KeyError
