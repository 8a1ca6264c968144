"""Scores: pooled counts and what follows from them, boundary F1, calibration."""

from segnet.metrics.boundary import boundary_f1
from segnet.metrics.calibration import Calibration
from segnet.metrics.confusion import (
    class_accuracy,
    class_average_accuracy,
    confusion_counts,
    global_accuracy,
    iou,
    mean_iou,
)
from segnet.metrics.running import SegmentationScores
from segnet.metrics.scores import ImageScore, Scores

__all__ = [
    "Calibration",
    "ImageScore",
    "Scores",
    "SegmentationScores",
    "boundary_f1",
    "class_accuracy",
    "class_average_accuracy",
    "confusion_counts",
    "global_accuracy",
    "iou",
    "mean_iou",
]
