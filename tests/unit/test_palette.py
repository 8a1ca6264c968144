import numpy as np
import pytest

from segnet import palette
from segnet.errors import LabelError, ShapeError
from segnet.labels import CAMVID_11, VOC_21, VOID, LabelSet

TWO = LabelSet("two", ("road", "sky"), ((128, 64, 128), (10, 20, 30)))


def test_to_rgb_gives_each_class_its_colour_and_void_black():
    rgb = palette.to_rgb(np.array([[0, 1, VOID]]), TWO)
    assert rgb.dtype == np.uint8
    assert rgb.tolist() == [[[128, 64, 128], [10, 20, 30], [0, 0, 0]]]


@pytest.mark.parametrize("strange", [2, 254, -1])
def test_to_rgb_refuses_unknown_ids_and_counts_them(strange):
    with pytest.raises(LabelError, match=rf"unknown class id {strange} \(2 pixels\).*'two' has 0..1"):
        palette.to_rgb(np.array([[0, strange, strange]]), TWO)


def test_from_rgb_names_unknown_colours_and_counts_the_most_frequent_first():
    rgb = np.array([[[1, 2, 3], [9, 9, 9], [9, 9, 9], [10, 20, 30]]], np.uint8)
    with pytest.raises(LabelError, match=r"\(9, 9, 9\) \(2 pixels\), \(1, 2, 3\) \(1 pixel\)"):
        palette.from_rgb(rgb, TWO)


def test_from_rgb_takes_any_void_colours_but_a_class_keeps_its_own():
    rgb = np.array([[[224, 224, 192], [0, 0, 0], [128, 0, 0]]], np.uint8)
    assert palette.from_rgb(rgb, VOC_21, [(224, 224, 192), (0, 0, 0)]).tolist() == [[VOID, 0, 1]]


def test_colours_above_the_last_known_one_are_unknown_too():
    with pytest.raises(LabelError, match=r"\(255, 255, 255\)"):
        palette.from_rgb(np.full((1, 1, 3), 255, np.uint8), TWO)


def test_from_rgb_wants_three_channels():
    with pytest.raises(ShapeError, match=r"\(2, 2, 4\)"):
        palette.from_rgb(np.zeros((2, 2, 4), np.uint8), TWO)


def test_overlay_mixes_by_opacity_and_leaves_void_alone():
    image = np.full((1, 2, 3), 100, np.uint8)
    prediction = np.array([[1, VOID]], np.uint8)
    assert palette.overlay(image, prediction, TWO, 0.5).tolist() == [[[55, 60, 65], [100, 100, 100]]]
    assert palette.overlay(image, prediction, TWO, 1.0)[0, 0].tolist() == [10, 20, 30]


def test_overlay_refuses_other_sizes_and_opacities():
    with pytest.raises(ShapeError, match=r"\(1, 2, 3\) and \(2, 2\)"):
        palette.overlay(np.zeros((1, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), TWO)
    with pytest.raises(ValueError, match=r"0\.\.1, got 2"):
        palette.overlay(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), TWO, 2)


def test_legend_shows_every_colour_asked_for_and_no_other():
    def colours(image):
        return {tuple(c) for c in image.reshape(-1, 3).tolist()}

    shown = colours(palette.legend(CAMVID_11, 300))
    assert set(CAMVID_11.colours) <= shown
    few = colours(palette.legend(CAMVID_11, 300, class_ids=[3, VOID]))
    assert CAMVID_11.colours[3] in few
    assert (0, 0, 0) in few
    assert not (set(CAMVID_11.colours) - {CAMVID_11.colours[3]}) & few


def test_legend_is_as_wide_as_asked_and_grows_for_a_long_name():
    assert palette.legend(CAMVID_11, 300).shape[1] == 300
    assert palette.legend(CAMVID_11, 10).shape[1] > 60
    assert palette.legend(CAMVID_11, 100).shape[0] > palette.legend(CAMVID_11, 800).shape[0]


def test_with_legend_keeps_the_image_on_top():
    image = np.random.default_rng(0).integers(0, 256, (40, 400, 3), np.uint8)
    both = palette.with_legend(image, CAMVID_11)
    assert both.shape[0] > 50
    assert both.shape[1] == 400
    assert np.array_equal(both[:40], image)


def test_palette_image_holds_ids_and_shows_colours(tmp_path):
    from PIL import Image

    prediction = np.array([[0, 10], [3, VOID]], np.int64)
    palette.to_palette_image(prediction, CAMVID_11).save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        assert image.mode == "P"
        assert np.asarray(image).tolist() == [[0, 10], [3, VOID]]
        assert np.array_equal(np.asarray(image.convert("RGB")), palette.to_rgb(prediction, CAMVID_11))


def test_palette_bytes_are_256_colours_with_black_for_void():
    table = palette.palette_bytes(TWO)
    assert len(table) == 768
    assert table[:6] == bytes([128, 64, 128, 10, 20, 30])
    assert set(table[6:]) == {0}
