import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segnet import palette
from segnet.labels import CAMVID_11, CITYSCAPES_19, SUN_37, VOID, LabelSet, distinct_colours

SETS = [CAMVID_11, CITYSCAPES_19, SUN_37, LabelSet("full", tuple(map(str, range(255))), distinct_colours(255))]


@st.composite
def predictions(draw):
    label_set = draw(st.sampled_from(SETS))
    ids = st.one_of(st.integers(0, label_set.num_classes - 1), st.just(VOID))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    return label_set, draw(hnp.arrays(draw(st.sampled_from([np.uint8, np.int64])), shape, elements=ids))


@settings(deadline=None)  # a busy machine is no failure
@given(predictions())
def test_colours_and_back_is_the_same_map(drawn):
    label_set, prediction = drawn
    assert np.array_equal(palette.from_rgb(palette.to_rgb(prediction, label_set), label_set), prediction)


@settings(deadline=None)  # a busy machine is no failure
@given(predictions())
def test_a_palette_image_holds_the_same_map(drawn):
    label_set, prediction = drawn
    assert np.array_equal(np.asarray(palette.to_palette_image(prediction, label_set)), prediction)
