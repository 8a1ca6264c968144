"""Which images are shown, and that the error map marks the wrong labelled pixels and no others."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segnet.data.sample import Image8, Sample
from segnet.errors import DataError, ShapeError
from segnet.labels import CAMVID_11, VOID, LabelSet
from segnet.metrics.scores import Scores
from segnet.report import Panel, best_and_worst
from segnet.report.images import WRONG_COLOUR, class_colours, error_map, views


class Grey:
    """Images of one grey each, which tells `predict` how many of their 16 pixels to get right."""

    label_set: LabelSet = CAMVID_11

    def __init__(self, right: dict[str, int]) -> None:
        self.right, self.names, self.read = right, tuple(right), []

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        self.read.append(self.names[index])
        grey = np.full((4, 4, 3), self.right[self.names[index]], np.uint8)
        return Sample(grey, np.zeros((4, 4), np.uint8), self.names[index])


def predict(image: Image8) -> Image8:
    return (np.arange(16).reshape(4, 4) >= image[0, 0, 0]).astype(np.uint8)


def scored(dataset: Grey) -> Scores:
    scores = Scores(CAMVID_11)
    for i in range(len(dataset)):
        sample = dataset[i]
        scores.add(predict(sample.image), sample.target, sample.name, boundaries=False)
    dataset.read.clear()
    return scores


def test_best_and_worst_are_chosen_by_mean_iou_and_only_they_are_read() -> None:
    dataset = Grey({"a": 3, "b": 16, "c": 8, "d": 1, "e": 12, "f": 10})
    panels = best_and_worst(scored(dataset), dataset, predict, 2)
    assert [(p.group, p.name) for p in panels] == [("Best", "b"), ("Best", "e"), ("Worst", "d"), ("Worst", "a")]
    assert dataset.read == ["b", "e", "d", "a"]
    assert panels[2].score is not None and panels[2].score.global_accuracy == 1 / 16
    assert (panels[2].prediction == predict(panels[2].image)).all()


def test_few_images_are_shown_once() -> None:
    dataset = Grey({"a": 3, "b": 16, "c": 8})
    assert [p.name for p in best_and_worst(scored(dataset), dataset, predict, 5)] == ["b", "c", "a"]
    assert best_and_worst(Scores(CAMVID_11), dataset, predict) == []
    assert best_and_worst(scored(dataset), dataset, predict, 0) == []


def test_images_without_labels_are_neither_best_nor_worst() -> None:
    dataset = Grey({"a": 3, "void": 0})
    scores = scored(Grey({"a": 3}))
    scores.add(np.zeros((4, 4), np.uint8), np.full((4, 4), VOID, np.uint8), "void")
    assert [p.name for p in best_and_worst(scores, dataset, predict)] == ["a"]


def test_scores_of_another_data_set_are_refused() -> None:
    with pytest.raises(DataError, match="'a'"):
        best_and_worst(scored(Grey({"a": 3})), Grey({"b": 3}), predict)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_error_map_marks_exactly_the_wrong_labelled_pixels(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(np.array([0, 1, 2, VOID], np.uint8), (height, width))
    prediction = rng.integers(0, 3, (height, width)).astype(np.uint8)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = image.copy()
    errors = error_map(image, target, prediction)
    red = (errors == WRONG_COLOUR).all(axis=2)
    assert (red == ((target != prediction) & (target != VOID))).all()
    assert (errors[~red] == errors[~red][:, :1]).all()  # grey
    assert (errors[target == VOID] <= 128).all() and (errors[~red & (target != VOID)] >= 160).all()
    assert (image == before).all()


def test_void_is_hatched_and_classes_keep_their_colours() -> None:
    target = np.full((20, 20), VOID, np.uint8)
    target[0] = 3
    colours = class_colours(target, CAMVID_11)
    assert (colours[0] == CAMVID_11.colours[3]).all()
    assert {tuple(c) for c in colours[1:].reshape(-1, 3).tolist()} == {(96, 96, 96), (128, 128, 128)}


def decoded(uri: str) -> Image8:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_views_hold_the_images() -> None:
    rng = np.random.default_rng(0)
    target, prediction = rng.integers(0, 11, (2, 250, 400)).astype(np.uint8)
    image = np.full((250, 400, 3), 77, np.uint8)
    found = dict(views(Panel("p", image, prediction, target), CAMVID_11))
    assert list(found) == ["image", "target", "prediction", "errors"]
    assert (decoded(found["image"]) == 77).all()
    assert (decoded(found["target"]) == class_colours(target, CAMVID_11)).all()
    assert (decoded(found["prediction"]) == class_colours(prediction, CAMVID_11)).all()
    wrong = (decoded(found["errors"]) == WRONG_COLOUR).all(axis=2)
    assert (wrong == (target != prediction)).all()


@pytest.mark.parametrize(
    ("size", "shown"),
    [((10, 30), (130, 390)), ((500, 600), (500, 600)), ((1000, 1600), (500, 800)), ((1, 1), (400, 400))],
)
def test_large_images_shrink_and_small_ones_grow(size: tuple[int, int], shown: tuple[int, int]) -> None:
    panel = Panel("p", np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8))
    found = dict(views(panel, CAMVID_11))
    assert list(found) == ["image", "prediction", "overlay"]
    assert {decoded(uri).shape[:2] for uri in found.values()} == {shown}
    assert (decoded(found["prediction"]) == CAMVID_11.colours[1]).all()


def test_parts_of_different_size_are_refused() -> None:
    image, classes = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    with pytest.raises(ShapeError, match="'p'"):
        Panel("p", image, classes.T)
    with pytest.raises(ShapeError, match=r"\(6, 4\)"):
        Panel("p", image, classes, classes.T)
    with pytest.raises(ShapeError):
        Panel("p", classes, classes)
