"""One confusion matrix over the whole dataset, and scores as pure functions of it.

`counts[t, p]` is the number of pixels of target class t that were predicted as class p; void pixels are in none.
A class that occurs neither in target nor in prediction has IoU NaN and is left out of the mean; the number of classes
averaged is returned with it. (Other libraries count it as 0 or 1, or average per image.)

Source:
    SegNet, section 4.1: global accuracy, class average accuracy, mean IoU as in PASCAL VOC12.
"""

import torch
from torch import Tensor

from segnet.errors import LabelError, ShapeError
from segnet.labels import VOID


def confusion_counts(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Counts pairs of target and predicted class.

    Args:
        prediction: class ids 0..K-1, any integer type, any shape.
        target: class ids or `VOID`, same shape.
        num_classes: K.

    Returns:
        int64 (K, K), rows are targets, columns predictions.

    Raises:
        ShapeError: prediction and target differ in shape.
        LabelError: an id that is neither a class nor void; says which and how many pixels.
    """
    if prediction.shape != target.shape:
        raise ShapeError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    labelled = target != VOID
    expected, got = target[labelled].to(torch.int64), prediction[labelled].to(torch.int64)
    for what, ids in (("target", expected), ("prediction", got)):
        outside = ids[(ids < 0) | (ids >= num_classes)]
        if outside.numel():
            found = ", ".join(str(i) for i in outside.unique().tolist()[:5])
            raise LabelError(f"{what}: {outside.numel()} pixels of class id {found}; expected 0..{num_classes - 1}")
    # each pair (target, prediction) is one number, so a single pass counts all K * K of them
    return torch.bincount(expected * num_classes + got, minlength=num_classes**2).view(num_classes, num_classes)


def global_accuracy(counts: Tensor) -> float:
    """Share of labelled pixels that are right, from counts (K, K), 0..1; NaN if there are none."""
    return float(counts.diagonal().sum().double() / counts.sum())


def class_accuracy(counts: Tensor) -> Tensor:
    """Share of each class's pixels that are right, float64 (K,); NaN for a class without pixels."""
    return counts.diagonal().double() / counts.sum(1)


def class_average_accuracy(counts: Tensor) -> float:
    """Mean of `class_accuracy` over the classes that have pixels, from counts (K, K), 0..1."""
    return float(class_accuracy(counts).nanmean())


def iou(counts: Tensor) -> Tensor:
    """Intersection over union of each class, float64 (K,); NaN for a class that is neither expected nor predicted."""
    right = counts.diagonal().double()
    return right / (counts.sum(0) + counts.sum(1) - right)


def mean_iou(counts: Tensor) -> tuple[float, int]:
    """Mean of `iou` over the classes that have one, from counts (K, K), 0..1, and the number of these classes."""
    values = iou(counts)
    return float(values.nanmean()), int((~values.isnan()).sum())
