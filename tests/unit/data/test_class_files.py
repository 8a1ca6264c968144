"""Files of classes carry the ids of the label files, and say what each means."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.class_files import as_written, ids_note
from segnet.inference.bands import save_bands
from segnet.inference.prediction import Prediction
from segnet.labels import LabelSet

FIELDS = LabelSet("fields", ("soil", "beet", "Gr\u00fcn"), ((9, 9, 9), (200, 0, 0), (0, 200, 0)), (38, 78, 128))
MANY = LabelSet("many", FIELDS.names, FIELDS.colours, (7, 26000, 26001))
CLASSES = np.array([[0, 1], [2, 0], [1, 1]], np.uint8)


def prediction(label_set: LabelSet) -> Prediction:
    return Prediction(np.zeros((3, 2, 3), np.uint8), CLASSES, label_set)


@pytest.mark.parametrize("in_bands", [False, True])
@pytest.mark.parametrize(
    ("label_set", "ids", "expected"),
    [
        (FIELDS, "files", [[38, 78], [128, 38], [78, 78]]),
        (FIELDS, "classes", CLASSES.tolist()),
        (MANY, "files", [[7, 26000], [26001, 7], [26000, 26000]]),
        (LabelSet("plain", FIELDS.names, FIELDS.colours), "files", CLASSES.tolist()),
    ],
)
def test_a_png_holds_the_ids_and_their_names(label_set, ids, expected, in_bands, tmp_path: Path) -> None:
    path = tmp_path / "x-classes.png"
    if in_bands:
        halves = [
            Prediction(np.zeros((h, 2, 3), np.uint8), part, label_set)
            for h, part in ((2, CLASSES[:2]), (1, CLASSES[2:]))
        ]
        save_bands(halves, (3, 2), tmp_path, "x", opacity=0.5, ids=ids)
    else:
        prediction(label_set).save(path, ids=ids)
    with Image.open(path) as image:
        pixels = np.asarray(image)
        assert pixels.tolist() == expected
        assert image.text["label_set"] == label_set.name
        assert json.loads(image.text["classes"]) == {
            str(expected[0][0]): "soil",
            str(expected[0][1]): "beet",
            str(expected[1][0]): "Gr\u00fcn",
        }
        if pixels.max() < 256:
            assert np.array_equal(np.asarray(image.convert("RGB")), np.array(FIELDS.colours)[CLASSES])


def test_the_default_is_the_ids_of_the_files_and_it_is_said(tmp_path: Path) -> None:
    prediction(FIELDS).save(tmp_path / "p.png")
    assert np.asarray(Image.open(tmp_path / "p.png")).max() == 128
    assert ids_note(FIELDS).endswith("(--ids classes: 0 to K-1): 38 soil, 78 beet, 128 Gr\u00fcn")
    assert ids_note(FIELDS, "classes").endswith("holds ids: 0 soil, 1 beet, 2 Gr\u00fcn")
    assert ids_note(LabelSet("plain", ("a",), ((1, 2, 3),))) == ""
    assert as_written(np.array([[255]]), FIELDS).tolist() == [[255]]
