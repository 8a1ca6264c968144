import math
from random import Random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segnet.labels import VOID
from segnet.metrics.boundary import boundary_f1
from segnet.metrics.confusion import class_average_accuracy, confusion_counts, global_accuracy, iou, mean_iou


@st.composite
def images(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """Prediction and target (N, H, W) with any share of void, and K."""
    num_classes = draw(st.integers(1, 40))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    target, prediction = torch.randint(0, num_classes, (2, *shape), generator=generator)
    target[torch.rand(shape, generator=generator) < draw(st.floats(0, 1))] = VOID
    return prediction, target, num_classes


@settings(deadline=None)
@given(images(), st.data())
def test_counts_of_parts_add_up(records: tuple[Tensor, Tensor, int], data: st.DataObject) -> None:
    prediction, target, num_classes = records
    axis = data.draw(st.integers(0, 2))
    cut = data.draw(st.integers(0, target.shape[axis]))
    sizes = [cut, target.shape[axis] - cut]
    parts = zip(prediction.split(sizes, axis), target.split(sizes, axis), strict=True)
    counts = confusion_counts(prediction, target, num_classes)
    assert torch.equal(counts, torch.stack([confusion_counts(p, t, num_classes) for p, t in parts]).sum(0))
    assert counts.sum() == (target != VOID).sum()
    assert torch.equal(counts.sum(1), torch.bincount(target[target != VOID], minlength=num_classes))


@settings(deadline=None)
@given(images(), st.randoms(use_true_random=False))
def test_scores_lie_in_0_to_1_and_do_not_depend_on_how_classes_are_numbered(
    records: tuple[Tensor, Tensor, int], random: Random
) -> None:
    prediction, target, num_classes = records
    counts = confusion_counts(prediction, target, num_classes)
    order = torch.randperm(num_classes, generator=torch.Generator().manual_seed(random.randrange(2**31)))
    shuffled = confusion_counts(order[prediction], torch.where(target == VOID, VOID, order[target % 255]), num_classes)
    values = [global_accuracy(counts), class_average_accuracy(counts), mean_iou(counts)[0]]
    again = [global_accuracy(shuffled), class_average_accuracy(shuffled), mean_iou(shuffled)[0]]
    for value, other in zip(values, again, strict=True):
        assert math.isnan(value) == bool((target == VOID).all())
        assert math.isnan(value) or (0 <= value <= 1 and abs(value - other) < 1e-12)  # sums in another order
    assert mean_iou(counts)[1] == (~iou(counts).isnan()).sum()


@settings(deadline=None)
@given(images())
def test_boundary_f1_lies_in_0_to_1_and_is_1_for_the_target_itself(records: tuple[Tensor, Tensor, int]) -> None:
    prediction, target, num_classes = records
    ids, expected = prediction[0].numpy(), target[0].numpy()
    value = boundary_f1(ids, expected, num_classes)
    assert math.isnan(value) or 0 <= value <= 1
    own = boundary_f1(expected, expected, num_classes)
    assert math.isnan(own) or own == 1
