"""Scores that grow by batches equal those of all images at once, and torchmetrics'."""

import math

import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from segnet.errors import ConfigError, LabelError, ShapeError
from segnet.labels import VOID
from segnet.metrics import SegmentationScores


def test_batches_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, 6, 7, generator=generator)
    target = torch.randint(0, 4, (5, 6, 7), generator=generator)
    target[:, 0] = VOID
    parts, whole = SegmentationScores(4), SegmentationScores(4)
    parts.update(logits[:2], target[:2])
    parts.update(logits[2:].argmax(1), target[2:])  # class ids as well as logits
    whole.update(logits.softmax(1), target)
    assert torch.equal(parts.counts, whole.counts)
    assert int(whole.counts.sum()) == 5 * 5 * 7
    other = MulticlassJaccardIndex(4, ignore_index=VOID)
    assert parts.compute()["mean_iou"] == pytest.approx(other(logits, target).item(), abs=1e-6)
    right = (logits.argmax(1) == target)[target != VOID].float().mean().item()
    assert parts.compute()["global_accuracy"] == pytest.approx(right)
    assert parts.class_iou().mean().item() == pytest.approx(parts.compute()["mean_iou"])
    parts.reset()
    assert math.isnan(parts.compute()["mean_iou"])


def test_what_cannot_be_counted() -> None:
    scores = SegmentationScores(2)
    with pytest.raises(ShapeError, match="differ in shape"):
        scores.update(torch.zeros(1, 2, 3, 4), torch.zeros(1, 3, 5, dtype=torch.int64))
    with pytest.raises(LabelError, match="class id 2"):
        scores.update(torch.zeros(1, 1, 1, dtype=torch.int64), torch.full((1, 1, 1), 2))
    with pytest.raises(ConfigError, match="at least one class"):
        SegmentationScores(0)
