"""How good a net is on a split: predictions picture by picture, counted once, scored from the counts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segnet import metrics
from segnet.boundary import boundary_f1, boundary_f1_authors, mean_over_pictures
from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset, Image8
from segnet.engine.crf import CRFParameters, DenseCRF
from segnet.engine.device import Place
from segnet.labels import LabelSet


@dataclass(frozen=True)
class PictureScore:
    """Scores of one picture: for choosing the best and the worst, not for averaging (BF alone is a mean of these).

    Attributes:
        name: of the picture.
        global_accuracy: share of its labelled pixels that are right; NaN when none is labelled.
        mean_iou: over the classes in its target or prediction.
        boundary_f1: of the picture; NaN where no class has a boundary, or when not measured.
        boundary_f1_authors: the form of the authors' script; NaN when not measured.
    """

    name: str
    global_accuracy: float
    mean_iou: float
    boundary_f1: float = math.nan
    boundary_f1_authors: float = math.nan


@dataclass
class Scores:
    """Counts over a set, growing picture by picture, and the scores that follow from them.

    Attributes:
        label_set: of the classes.
        counts: int64 (K, K), rows are targets.
        pictures: one record per picture.
    """

    label_set: LabelSet
    counts: Tensor = field(init=False)
    pictures: list[PictureScore] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = torch.zeros(
            self.label_set.num_classes, self.label_set.num_classes, dtype=torch.int64, device="cpu"
        )

    def add(
        self, prediction: Image8, target: Image8, name: str, *, boundaries: bool = True, authors_form: bool = False
    ) -> None:
        """Counts one picture.

        Args:
            prediction: class ids, (H, W).
            target: class ids or `VOID`, (H, W).
            name: of the picture.
            boundaries: whether to measure boundary F1, which takes most of the time.
            authors_form: whether to measure the form of the authors' script too, which takes seconds a picture.
        """
        num_classes = self.label_set.num_classes
        counts = metrics.confusion_counts(torch.from_numpy(prediction), torch.from_numpy(target), num_classes)
        self.counts += counts
        self.pictures.append(
            PictureScore(
                name,
                metrics.global_accuracy(counts),
                metrics.mean_iou(counts)[0],
                boundary_f1(prediction, target, num_classes) if boundaries else math.nan,
                boundary_f1_authors(prediction, target, num_classes) if authors_form else math.nan,
            )
        )

    @property
    def global_accuracy(self) -> float:
        """Share of labelled pixels that are right, 0..1."""
        return metrics.global_accuracy(self.counts)

    @property
    def class_average_accuracy(self) -> float:
        """Mean over classes of the share of their pixels that are right, 0..1."""
        return metrics.class_average_accuracy(self.counts)

    @property
    def mean_iou(self) -> float:
        """Mean over classes of intersection over union, 0..1."""
        return metrics.mean_iou(self.counts)[0]

    @property
    def boundary_f1(self) -> float:
        """Mean over pictures of boundary F1, 0..1; NaN when not measured."""
        return mean_over_pictures(p.boundary_f1 for p in self.pictures)[0]

    @property
    def boundary_f1_authors(self) -> float:
        """The same by the authors' script; NaN when not measured."""
        return mean_over_pictures(p.boundary_f1_authors for p in self.pictures)[0]

    def summary(self) -> dict[str, float]:
        """The paper's four scores, 0..1, by name; and BF by the authors' script where that was measured."""
        scores = {
            "global_accuracy": self.global_accuracy,
            "class_average_accuracy": self.class_average_accuracy,
            "mean_iou": self.mean_iou,
            "boundary_f1": self.boundary_f1,
        }
        authors = self.boundary_f1_authors
        return scores if math.isnan(authors) else {**scores, "boundary_f1_authors": authors}

    def class_iou(self) -> dict[str, float]:
        """IoU of each class by name, 0..1; NaN for a class that is neither wanted nor predicted."""
        return dict(zip(self.label_set.names, metrics.iou(self.counts).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; a score that does not exist is None."""
        per_class = zip(
            self.label_set.names,
            metrics.class_accuracy(self.counts).tolist(),
            metrics.iou(self.counts).tolist(),
            strict=True,
        )
        return {
            **{name: _or_none(value) for name, value in self.summary().items()},
            "classes_averaged": metrics.mean_iou(self.counts)[1],
            "classes": {n: {"accuracy": _or_none(a), "iou": _or_none(i)} for n, a, i in per_class},
            "counts": self.counts.tolist(),
            "pictures": [
                {"name": p.name}
                | {key: _or_none(getattr(p, key)) for key in ("global_accuracy", "mean_iou", "boundary_f1")}
                for p in self.pictures
            ],
        }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


@torch.inference_mode()
def predictions(
    model: nn.Module, dataset: Dataset, place: Place, batch_size: int = 1, crf: CRFParameters | None = None
) -> Iterator[tuple[str, Image8, Image8]]:
    """Predicts every picture of a data set at its own size.

    Args:
        model: put in evaluation mode, and moved to the device.
        dataset: read in order.
        place: device and precision.
        batch_size: pictures at once; above 1 they must be of one size.
        crf: parameters of a fully connected CRF, which runs on the processor; None takes the net's word.

    Yields:
        Name, prediction uint8 (H, W), target uint8 (H, W).
    """
    with torch.inference_mode(False):  # else its parameters could not be trained any more
        place.ready(model.eval())
    for batch in ordered_batches(dataset, batch_size):
        image = batch.image.to(place.device, memory_format=torch.channels_last)
        with place.autocast():
            logits = model(image)
        if crf is None:
            classes = logits.argmax(1).to(torch.uint8).cpu().numpy()  # (N, H, W)
        else:
            classes = _crf_classes(logits, batch.image, crf)
        for name, prediction, target in zip(batch.names, classes, batch.target.numpy(), strict=True):
            yield name, prediction, target.astype(np.uint8)


def _crf_classes(logits: Tensor, image: Tensor, crf: CRFParameters) -> Image8:
    pictures = (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
    probability = logits.float().softmax(1).cpu().numpy()  # (N, K, H, W)
    refined = [DenseCRF(one, crf)(p).argmax(0) for one, p in zip(pictures, probability, strict=True)]
    return np.stack(refined).astype(np.uint8)


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    place: Place,
    *,
    batch_size: int = 1,
    boundaries: bool = True,
    crf: CRFParameters | None = None,
) -> Scores:
    """Scores a net on a data set; arguments as in `predictions` and `Scores.add`."""
    scores = Scores(dataset.label_set)
    for name, prediction, target in predictions(model, dataset, place, batch_size, crf):
        scores.add(prediction, target, name, boundaries=boundaries)
    return scores
