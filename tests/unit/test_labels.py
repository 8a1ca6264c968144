import json

import pytest

from segnet.errors import LabelError
from segnet.labels import CAMVID_11, CITYSCAPES_19, LABEL_SETS, SUN_37, VOC_21, VOID, LabelSet, distinct_colours

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_numbers_of_classes() -> None:
    assert VOID == 255
    assert {name: label_set.num_classes for name, label_set in LABEL_SETS.items()} == {
        "camvid-11": 11,
        "sun-37": 37,
        "voc-21": 21,
        "cityscapes-19": 19,
    }


def test_the_ids_are_the_published_ones() -> None:
    assert CAMVID_11.names[0] == "sky"
    assert CAMVID_11.names[3] == "road"
    assert CAMVID_11.names[8] == "car"
    assert CAMVID_11.colours[3] == (128, 64, 128)
    assert CAMVID_11.colours[10] == (0, 128, 192)
    assert (SUN_37.names[0], SUN_37.names[36], SUN_37.names[31]) == ("wall", "bag", "night stand")
    assert (VOC_21.names[0], VOC_21.names[15]) == ("background", "person")
    assert (CITYSCAPES_19.names[6], CITYSCAPES_19.names[13]) == ("traffic light", "car")


def test_voc_colours_are_the_development_kits() -> None:
    assert VOC_21.colours[:5] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert VOC_21.colours[15] == (192, 128, 128)
    assert VOC_21.colours[20] == (0, 64, 128)


def test_distinct_colours_are_distinct_and_never_black() -> None:
    colours = distinct_colours(254)
    assert len(set(colours)) == 254
    assert (0, 0, 0) not in colours
    assert colours[:20] == VOC_21.colours[1:]


@pytest.mark.parametrize("label_set", LABEL_SETS.values(), ids=LABEL_SETS)
def test_round_trip_through_json(label_set: LabelSet) -> None:
    assert LabelSet.from_dict(json.loads(json.dumps(label_set.to_dict()))) == label_set


@pytest.mark.parametrize(
    ("names", "colours", "message"),
    [
        ((), (), "expected 1 to 255 classes, got 0"),
        (tuple(map(str, range(256))), (*distinct_colours(255), (0, 0, 0)), "expected 1 to 255 classes, got 256"),
        (("a", "b"), (RED,), "2 names but 1 colours"),
        (("a", "a"), (RED, BLUE), "name used twice: a"),
        (("a", "b"), (RED, RED), r"colour used twice: \(255, 0, 0\)"),
    ],
)
def test_sets_that_make_no_sense(
    names: tuple[str, ...], colours: tuple[tuple[int, int, int], ...], message: str
) -> None:
    with pytest.raises(LabelError, match=f"label set 'mine': {message}"):
        LabelSet("mine", names, colours)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"name": "x", "names": ["a"]}, "got none for 'colours'"),
        ({"name": "x", "names": "a", "colours": [[0, 0, 0]]}, "expected a name and two lists"),
        ({"name": 3, "names": ["a"], "colours": [[0, 0, 0]]}, "expected a name and two lists"),
        ({"name": "x", "names": ["a"], "colours": [[0, 0, 256]]}, "expected three integers 0..255"),
        ({"name": "x", "names": ["a"], "colours": [[0, 0]]}, "expected three integers 0..255"),
        ({"name": "x", "names": ["a"], "colours": [[0, 0, 0.5]]}, "expected three integers 0..255"),
        ({"name": "x", "names": ["a"], "colours": ["red"]}, "expected three integers 0..255"),
    ],
)
def test_records_that_are_not_a_label_set(record: dict[str, object], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        LabelSet.from_dict(record)
