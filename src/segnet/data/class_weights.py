"""Class frequencies, and median frequency balancing: rare classes get larger weights in the loss.

The convention: freq(c) = pixels of c / all pixels, void included, of the images that contain c; a class weighs
median(freq) / freq(c). The median is taken over the classes that occur, or over those and void (`with_void`), as for
the authors' published weights. Frequencies are counted on whole images, without augmentation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segnet.data.reading.targets import require_labelled
from segnet.data.sample import Dataset
from segnet.errors import DataError, LabelError
from segnet.labels import VOID, LabelSet

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ClassFrequencies:
    """Pixel counts over a dataset. Each array has K + 1 entries: the classes by id, and void last.

    Attributes:
        label_set: of the K classes.
        pixels: of each class.
        images: number of images that contain the class.
        pixels_of_images: all pixels, void included, of the images that contain the class.
    """

    label_set: LabelSet
    pixels: Counts
    images: Counts
    pixels_of_images: Counts

    @classmethod
    def none(cls, label_set: LabelSet) -> "ClassFrequencies":
        """The counts of an empty dataset."""
        zeros = np.zeros(label_set.num_classes + 1, np.int64)
        return cls(label_set, zeros, zeros, zeros)

    def add(self, target: np.ndarray) -> "ClassFrequencies":
        """The counts with one more image.

        Args:
            target: class ids or `VOID`, uint8 (H, W).
        """
        counts = np.bincount(target.ravel(), minlength=VOID + 1)
        counts = np.append(counts[: self.label_set.num_classes], counts[VOID])
        contains = counts > 0
        return ClassFrequencies(
            self.label_set,
            self.pixels + counts,
            self.images + contains,
            self.pixels_of_images + contains * target.size,
        )

    @property
    def frequency(self) -> NDArray[np.float64]:
        """freq(c), (K + 1,), void last; 0 for a class that never occurs."""
        return self.pixels / np.maximum(self.pixels_of_images, 1)


def count_frequencies(dataset: Dataset) -> ClassFrequencies:
    """Reads every sample once and counts.

    Raises:
        DataError: the dataset is empty, or a file is missing or broken.
        LabelError: no labelled pixel in any image, or a class id that is not known.
        ShapeError: an image and its labels differ in size.
    """
    if len(dataset) == 0:
        raise DataError("the dataset is empty: there is no image to count classes in")
    require_labelled(dataset)
    frequencies = ClassFrequencies.none(dataset.label_set)
    for index in range(len(dataset)):
        frequencies = frequencies.add(dataset[index].target)
    return frequencies


def median_frequency(frequencies: ClassFrequencies, with_void: bool = False) -> Tensor:
    """Class weights by median frequency balancing.

    Args:
        frequencies: at least one class occurs.
        with_void: include void's frequency in the median (of an even number, the mean of the middle two), as in the
            authors' published weights. It scales all weights by one factor.

    Returns:
        float32 (K,). A class that never occurs is left out of the median and gets weight 1: training never sees it,
        and a validation loss that does stays finite.

    Raises:
        LabelError: no class occurs.

    Source:
        Section 3.2 of the paper, after Eigen and Fergus, "Predicting depth, surface normals and semantic labels", 2015.
        The paper does not say which classes the median includes; the released weights fit the median with void.
    """
    frequency = frequencies.frequency
    classes = frequency[:-1]
    candidates = frequency if with_void else classes
    if not classes.any():
        raise LabelError("no labelled pixel in the dataset: class weights need at least one class that occurs")
    median = np.median(candidates[candidates > 0])
    weights = np.divide(median, classes, out=np.ones_like(classes), where=classes > 0)
    return torch.from_numpy(weights).float()
