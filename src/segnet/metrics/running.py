"""Scores that grow batch by batch, with the interface of torchmetrics: `update`, `compute`, `reset`."""

import torch
from torch import Tensor

from segnet.errors import ConfigError
from segnet.metrics import confusion


class SegmentationScores:
    """Global accuracy, class average accuracy and mean IoU over all batches since the last `reset`.

    Counts are pooled over pixels, so the result does not depend on how images are batched. Boundary F1, a mean over
    images, is in `Scores`.

    Args:
        num_classes: K, at least 1.

    Attributes:
        counts: int64 (K, K), rows are targets, on the CPU.

    Raises:
        ConfigError: no class.

    Example:
        >>> scores = SegmentationScores(num_classes=2)
        >>> scores.update(torch.tensor([[0, 1]]), torch.tensor([[0, 255]]))
        >>> scores.compute()["global_accuracy"]
        1.0
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ConfigError(f"SegmentationScores: expected at least one class, got {num_classes}")
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self.counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64, device="cpu")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Counts a batch.

        Args:
            prediction: logits or probabilities, floating (N, K, H, W); or class ids, integers of the target's shape.
            target: class ids or `VOID`, integers (N, H, W).

        Raises:
            ShapeError: the shapes do not fit.
            LabelError: an id that is neither a class nor void.
        """
        classes = prediction.argmax(1) if prediction.is_floating_point() else prediction
        self.counts += confusion.confusion_counts(classes.cpu(), target.cpu(), self.num_classes)

    def compute(self) -> dict[str, float]:
        """The three scores by name, 0..1; NaN while no labelled pixel was counted."""
        return {
            "global_accuracy": confusion.global_accuracy(self.counts),
            "class_average_accuracy": confusion.class_average_accuracy(self.counts),
            "mean_iou": confusion.mean_iou(self.counts)[0],
        }

    def class_iou(self) -> Tensor:
        """Intersection over union of each class, float64 (K,); NaN for one neither expected nor predicted."""
        return confusion.iou(self.counts)
