import math

import pytest
import torch

from segnet.errors import LabelError, ShapeError
from segnet.labels import VOID
from segnet.metrics.confusion import (
    class_accuracy,
    class_average_accuracy,
    confusion_counts,
    global_accuracy,
    iou,
    mean_iou,
)

TARGET = torch.tensor([[0, 0, 0, 1], [1, 1, VOID, VOID]])
PREDICTION = torch.tensor([[0, 0, 1, 1], [1, 3, 0, 2]])
# rows are targets: class 0 has 3 pixels, one taken for 1; class 1 has 3, one taken for 3; 2 is nowhere
COUNTS = torch.tensor([[2, 1, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_counts_by_hand() -> None:
    counts = confusion_counts(PREDICTION, TARGET, 4)
    assert counts.dtype == torch.int64
    assert counts.tolist() == COUNTS.tolist()


def test_scores_by_hand() -> None:
    assert global_accuracy(COUNTS) == pytest.approx(4 / 6)
    assert class_accuracy(COUNTS)[:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert class_accuracy(COUNTS)[2:].isnan().all()
    assert class_average_accuracy(COUNTS) == pytest.approx(2 / 3)
    assert iou(COUNTS).tolist() == pytest.approx([2 / 3, 2 / 4, math.nan, 0.0], nan_ok=True)
    assert mean_iou(COUNTS) == (pytest.approx((2 / 3 + 2 / 4 + 0) / 3), 3)


def test_accuracies_do_not_treat_classes_alike_and_rows_are_targets() -> None:
    counts = torch.tensor([[90, 10], [0, 10]])  # 90 of 100 and 10 of 10 right
    assert global_accuracy(counts) == pytest.approx(100 / 110)
    assert class_average_accuracy(counts) == pytest.approx((0.9 + 1.0) / 2)
    assert iou(counts).tolist() == pytest.approx([90 / 100, 10 / 20])


def test_absent_class_is_nan_and_left_out_of_the_mean() -> None:
    counts = torch.zeros(5, 5, dtype=torch.int64)
    counts[1, 1], counts[3, 3], counts[3, 1] = 6, 2, 2
    assert iou(counts).isnan().tolist() == [True, False, True, False, True]
    assert mean_iou(counts) == (pytest.approx((6 / 8 + 2 / 4) / 2), 2)


def test_nothing_counted_gives_nan_not_an_error() -> None:
    counts = confusion_counts(torch.zeros(2, 2, dtype=torch.int64), torch.full((2, 2), VOID), 3)
    assert counts.sum() == 0
    assert math.isnan(global_accuracy(counts))
    assert math.isnan(class_average_accuracy(counts))
    value, averaged = mean_iou(counts)
    assert math.isnan(value)
    assert averaged == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_any_integer_type(dtype: torch.dtype) -> None:
    assert confusion_counts(PREDICTION.to(dtype), TARGET.clamp_max(255).to(torch.uint8), 4).tolist() == COUNTS.tolist()


def test_255_classes_of_bytes_do_not_overflow() -> None:
    ids = torch.arange(255, dtype=torch.uint8)
    counts = confusion_counts(ids, ids, 255)
    assert counts.diagonal().tolist() == [1] * 255
    assert counts.sum() == 255


def test_what_is_predicted_in_void_is_not_read() -> None:
    prediction = PREDICTION.clone()
    prediction[TARGET == VOID] = 77
    assert confusion_counts(prediction, TARGET, 4).tolist() == COUNTS.tolist()


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        ([0, 4, 1], [0, 1, 1], "prediction: 1 pixels of class id 4; expected 0..3"),
        ([0, VOID, VOID], [0, 1, 1], "prediction: 2 pixels of class id 255; expected 0..3"),
        ([0, 0, 0], [7, 9, 7], "target: 3 pixels of class id 7, 9; expected 0..3"),
        ([0, 0, 0], [0, -1, 0], "target: 1 pixels of class id -1; expected 0..3"),
    ],
)
def test_ids_outside_the_classes_are_named_and_counted(prediction: list[int], target: list[int], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        confusion_counts(torch.tensor(prediction), torch.tensor(target), 4)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"prediction \(2, 3\) and target \(3, 2\) differ in shape"):
        confusion_counts(torch.zeros(2, 3), torch.zeros(3, 2), 4)
