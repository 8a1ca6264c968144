import numpy as np
import pytest

from segnet.data.importers.run_lengths import RunLengths, unpack_counts

MASK = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.bool_)


def test_coco_runs_down_the_columns_and_cvat_along_the_rows() -> None:
    down = RunLengths([3, 2, 1, 3, 2, 1], (3, 4), down=True).region((3, 4))
    along = RunLengths([1, 2, 2, 2, 3, 2], (3, 4)).region((3, 4))
    assert np.array_equal(down.mask, MASK)
    assert np.array_equal(along.mask, MASK)


def test_a_box_stands_in_its_place() -> None:
    region = RunLengths([0, 2, 1, 1], (2, 2), top=3, left=1).region((5, 2))
    assert (region.top, region.left, region.mask.tolist()) == (3, 1, [[True], [False]])


@pytest.mark.parametrize("counts", [[3, 2], [3, -2, 11], [], [13]])
def test_numbers_that_do_not_fill_the_box_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="for a mask of 3x4"):
        RunLengths(counts, (3, 4), down=True)


def test_packed_text_is_what_the_coco_api_writes() -> None:
    """Texts made by `pycocotools.mask.encode` of version 2.0.11: small numbers, large ones, and differences below 0."""
    assert unpack_counts("32111N") == [3, 2, 1, 3, 2, 1]
    assert unpack_counts("01b02B101N1001O000Og0") == [0, 1, 18, 3, 4, 4, 4, 5, 2, 6, 2, 6, 3, 5, 3, 5, 3, 4, 26]
    assert unpack_counts("hb0W3i^1o=dXOk^O") == [600, 103, 1497, 550, 749, 1]


@pytest.mark.parametrize("text", ["\n", "ü", "P"])
def test_broken_packed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="packed run lengths"):
        unpack_counts(text)
