"""Scores against a slow loop over pixels and sets, and against torchmetrics."""

import math
import warnings

import numpy as np
import pytest
import torch

from segnet.labels import VOID
from segnet.metrics.confusion import (
    class_accuracy,
    class_average_accuracy,
    confusion_counts,
    global_accuracy,
    iou,
    mean_iou,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torchmetrics says about its own optional parts
    from torchmetrics.classification import (
        MulticlassAccuracy,
        MulticlassConfusionMatrix,
        MulticlassJaccardIndex,
    )

NUM_CLASSES = 6
# Quotients of integers: float64 here, float32 in torchmetrics.
FLOAT64, FLOAT32 = 1e-12, 1e-6


def images(seed: int, absent: tuple[int, ...] = ()) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and target that agree half of the time, with void; `absent` classes occur in neither."""
    rng = np.random.default_rng(seed)
    classes = [c for c in range(NUM_CLASSES) if c not in absent]
    target, prediction = rng.choice(classes, (2, 3, 17, 19))
    prediction = np.where(rng.random(target.shape) < 0.5, target, prediction)
    return torch.from_numpy(prediction), torch.from_numpy(np.where(rng.random(target.shape) < 0.1, VOID, target))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("absent", [(), (2,), (0, 5)])
def test_against_a_loop(seed: int, absent: tuple[int, ...]) -> None:
    prediction, target = images(seed, absent)
    pairs = [(t, p) for t, p in zip(target.flatten().tolist(), prediction.flatten().tolist(), strict=True) if t != VOID]
    accuracies, ious = {}, {}
    for class_id in range(NUM_CLASSES):
        expected = {n for n, (t, _) in enumerate(pairs) if t == class_id}
        got = {n for n, (_, p) in enumerate(pairs) if p == class_id}
        if expected:
            accuracies[class_id] = len(expected & got) / len(expected)
        if expected | got:
            ious[class_id] = len(expected & got) / len(expected | got)
    counts = confusion_counts(prediction, target, NUM_CLASSES)
    assert [(t, p) in set(pairs) for t in range(6) for p in range(6)] == (counts > 0).flatten().tolist()
    assert global_accuracy(counts) == pytest.approx(sum(t == p for t, p in pairs) / len(pairs), rel=FLOAT64)
    for ours, oracle in ((class_accuracy(counts), accuracies), (iou(counts), ious)):
        assert {c: v for c, v in enumerate(ours.tolist()) if not math.isnan(v)} == pytest.approx(oracle, rel=FLOAT64)
    assert class_average_accuracy(counts) == pytest.approx(np.mean(list(accuracies.values())), rel=FLOAT64)
    assert mean_iou(counts) == (pytest.approx(np.mean(list(ious.values())), rel=FLOAT64), NUM_CLASSES - len(absent))


@pytest.mark.parametrize("seed", range(3))
def test_against_torchmetrics(seed: int) -> None:
    prediction, target = images(seed)
    counts = confusion_counts(prediction, target, NUM_CLASSES)
    options = {"num_classes": NUM_CLASSES, "ignore_index": VOID}
    assert torch.equal(counts, MulticlassConfusionMatrix(**options)(prediction, target))
    theirs = MulticlassAccuracy(average="micro", **options)(prediction, target)
    assert global_accuracy(counts) == pytest.approx(theirs.item(), rel=FLOAT32)
    theirs = MulticlassAccuracy(average="macro", **options)(prediction, target)
    assert class_average_accuracy(counts) == pytest.approx(theirs.item(), rel=FLOAT32)
    theirs = MulticlassJaccardIndex(average=None, **options)(prediction, target)
    assert iou(counts).tolist() == pytest.approx(theirs.tolist(), rel=FLOAT32)
    theirs = MulticlassJaccardIndex(average="macro", **options)(prediction, target)
    assert mean_iou(counts)[0] == pytest.approx(theirs.item(), rel=FLOAT32)
