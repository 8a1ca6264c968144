"""Scores of whatever gives class ids: a backend of the runtime, in any precision."""

from collections.abc import Callable

import torch
from torch import Tensor

from segnet.data.sample import Dataset
from segnet.metrics import confusion


def mean_iou_of(classes: Callable[[Tensor], Tensor], dataset: Dataset) -> float:
    """Mean IoU over a dataset, 0..1.

    Args:
        classes: uint8 (1, C, H, W) -> class ids (1, H, W), as a backend's.
        dataset: labelled; images of any sizes.
    """
    num_classes = dataset.label_set.num_classes
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64, device="cpu")
    for index in range(len(dataset)):
        sample = dataset[index]
        image = torch.from_numpy(sample.image.copy()).permute(2, 0, 1)[None].contiguous()
        target = torch.from_numpy(sample.target.copy())
        counts += confusion.confusion_counts(classes(image)[0].to(torch.uint8), target, num_classes)
    return confusion.mean_iou(counts)[0]
