"""Scores of a dataset: confusion counts, updated image by image, and the scores computed from them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segnet.labels import LabelSet
from segnet.metrics import confusion
from segnet.metrics.boundary import boundary_f1, boundary_f1_authors, mean_over_images

ClassIds = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageScore:
    """Scores of one image: for finding the best and the worst images, not for averaging (only BF is a mean of these).

    Attributes:
        name: of the image.
        global_accuracy: share of its labelled pixels that are right; NaN if none is labelled.
        mean_iou: over the classes in its target or prediction.
        boundary_f1: of the image; NaN where no class has a boundary, or when not measured.
        boundary_f1_authors: the form of the authors' script; NaN when not measured.
    """

    name: str
    global_accuracy: float
    mean_iou: float
    boundary_f1: float = math.nan
    boundary_f1_authors: float = math.nan


@dataclass(repr=False)
class Scores:
    """Counts over a dataset, updated image by image, and the scores computed from them.

    Attributes:
        label_set: of the classes.
        counts: int64 (K, K), rows are targets.
        images: one record per image.
    """

    label_set: LabelSet
    counts: Tensor = field(init=False)
    images: list[ImageScore] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = torch.zeros(
            self.label_set.num_classes, self.label_set.num_classes, dtype=torch.int64, device="cpu"
        )

    def __repr__(self) -> str:
        """Number of images and the scores over all of them, instead of those of each image."""
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.summary().items() if not math.isnan(value))
        return f"Scores({len(self.images)} images: {scores or 'no labelled pixel'})"

    @classmethod
    def of(
        cls,
        label_set: LabelSet,
        results: Iterable[tuple[str, ClassIds, ClassIds]],
        *,
        boundaries: bool = True,
        authors_form: bool = False,
    ) -> "Scores":
        """The scores of many images: the one loop of evaluation, reports, quantisation and the search for a CRF.

        Args:
            label_set: of the classes.
            results: name, prediction (H, W) and target (H, W) of each image.
            boundaries: as in `add`.
            authors_form: as in `add`.
        """
        scores = cls(label_set)
        for name, prediction, target in results:
            scores.add(prediction, target, name, boundaries=boundaries, authors_form=authors_form)
        return scores

    def merge(self, other: "Scores") -> None:
        """Adds the images of other scores to these."""
        self.counts += other.counts
        self.images += other.images

    def add(
        self, prediction: ClassIds, target: ClassIds, name: str, *, boundaries: bool = True, authors_form: bool = False
    ) -> None:
        """Counts one image.

        Args:
            prediction: class ids, (H, W).
            target: class ids or `VOID`, (H, W).
            name: of the image.
            boundaries: whether to measure boundary F1, which takes most of the time.
            authors_form: whether to measure the form of the authors' script too, which takes seconds per image.
        """
        num_classes = self.label_set.num_classes
        counts = confusion.confusion_counts(torch.from_numpy(prediction), torch.from_numpy(target), num_classes)
        self.counts += counts
        self.images.append(
            ImageScore(
                name,
                confusion.global_accuracy(counts),
                confusion.mean_iou(counts)[0],
                boundary_f1(prediction, target, num_classes) if boundaries else math.nan,
                boundary_f1_authors(prediction, target, num_classes) if authors_form else math.nan,
            )
        )

    @property
    def global_accuracy(self) -> float:
        """Share of labelled pixels that are right, 0..1."""
        return confusion.global_accuracy(self.counts)

    @property
    def class_average_accuracy(self) -> float:
        """Mean over classes of the share of their pixels that are right, 0..1."""
        return confusion.class_average_accuracy(self.counts)

    @property
    def mean_iou(self) -> float:
        """Mean over classes of intersection over union, 0..1."""
        return confusion.mean_iou(self.counts)[0]

    @property
    def boundary_f1(self) -> float:
        """Mean over images of boundary F1, 0..1; NaN when not measured."""
        return mean_over_images(p.boundary_f1 for p in self.images)[0]

    @property
    def boundary_f1_authors(self) -> float:
        """The same by the authors' script; NaN when not measured."""
        return mean_over_images(p.boundary_f1_authors for p in self.images)[0]

    def summary(self) -> dict[str, float]:
        """The paper's four scores, 0..1, by name; and BF by the authors' script if it was measured."""
        scores = {
            "global_accuracy": self.global_accuracy,
            "class_average_accuracy": self.class_average_accuracy,
            "mean_iou": self.mean_iou,
            "boundary_f1": self.boundary_f1,
        }
        authors = self.boundary_f1_authors
        return scores if math.isnan(authors) else {**scores, "boundary_f1_authors": authors}

    def class_iou(self) -> dict[str, float]:
        """IoU of each class by name, 0..1; NaN for a class that is neither expected nor predicted."""
        return dict(zip(self.label_set.names, confusion.iou(self.counts).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; an undefined score is None."""
        per_class = zip(
            self.label_set.names,
            confusion.class_accuracy(self.counts).tolist(),
            confusion.iou(self.counts).tolist(),
            strict=True,
        )
        return {
            **{name: _or_none(value) for name, value in self.summary().items()},
            "classes_averaged": confusion.mean_iou(self.counts)[1],
            "classes": {n: {"accuracy": _or_none(a), "iou": _or_none(i)} for n, a, i in per_class},
            "counts": self.counts.tolist(),
            "images": [
                {"name": p.name}
                | {key: _or_none(getattr(p, key)) for key in ("global_accuracy", "mean_iou", "boundary_f1")}
                for p in self.images
            ],
        }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
