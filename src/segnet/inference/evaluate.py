"""How good a model is on a split: predictions image by image, counted once, scored from the counts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segnet.crf.dense_crf import CRFParameters, DenseCRF
from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset, Image8
from segnet.device import DeviceSpec
from segnet.labels import LabelSet
from segnet.metrics import confusion as metrics
from segnet.metrics.boundary import boundary_f1, boundary_f1_authors, mean_over_images


@dataclass(frozen=True)
class ImageScore:
    """Scores of one image: for choosing the best and the worst, not for averaging (BF alone is a mean of these).

    Attributes:
        name: of the image.
        global_accuracy: share of its labelled pixels that are right; NaN when none is labelled.
        mean_iou: over the classes in its target or prediction.
        boundary_f1: of the image; NaN where no class has a boundary, or when not measured.
        boundary_f1_authors: the form of the authors' script; NaN when not measured.
    """

    name: str
    global_accuracy: float
    mean_iou: float
    boundary_f1: float = math.nan
    boundary_f1_authors: float = math.nan


@dataclass
class Scores:
    """Counts over a set, growing image by image, and the scores that follow from them.

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

    def add(
        self, prediction: Image8, target: Image8, name: str, *, boundaries: bool = True, authors_form: bool = False
    ) -> None:
        """Counts one image.

        Args:
            prediction: class ids, (H, W).
            target: class ids or `VOID`, (H, W).
            name: of the image.
            boundaries: whether to measure boundary F1, which takes most of the time.
            authors_form: whether to measure the form of the authors' script too, which takes seconds an image.
        """
        num_classes = self.label_set.num_classes
        counts = metrics.confusion_counts(torch.from_numpy(prediction), torch.from_numpy(target), num_classes)
        self.counts += counts
        self.images.append(
            ImageScore(
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
        """Mean over images of boundary F1, 0..1; NaN when not measured."""
        return mean_over_images(p.boundary_f1 for p in self.images)[0]

    @property
    def boundary_f1_authors(self) -> float:
        """The same by the authors' script; NaN when not measured."""
        return mean_over_images(p.boundary_f1_authors for p in self.images)[0]

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
        """IoU of each class by name, 0..1; NaN for a class that is neither expected nor predicted."""
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
            "images": [
                {"name": p.name}
                | {key: _or_none(getattr(p, key)) for key in ("global_accuracy", "mean_iou", "boundary_f1")}
                for p in self.images
            ],
        }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


@torch.inference_mode()
def predictions(
    model: nn.Module, dataset: Dataset, device_spec: DeviceSpec, batch_size: int = 1, crf: CRFParameters | None = None
) -> Iterator[tuple[str, Image8, Image8]]:
    """Predicts every image of a dataset at its own size.

    Args:
        model: put in evaluation mode, and moved to the device.
        dataset: read in order.
        device_spec: device and precision.
        batch_size: images at once; above 1 they must be of one size.
        crf: parameters of a fully connected CRF, which runs on the processor; None takes the model's word.

    Yields:
        Name, prediction uint8 (H, W), target uint8 (H, W).
    """
    with torch.inference_mode(False):  # else its parameters could not be trained any more
        device_spec.ready(model.eval())
    for batch in ordered_batches(dataset, batch_size):
        image = batch.image.to(device_spec.device, memory_format=torch.channels_last)
        with device_spec.autocast():
            logits = model(image)
        if crf is None:
            classes = logits.argmax(1).to(torch.uint8).cpu().numpy()  # (N, H, W)
        else:
            classes = _crf_classes(logits, batch.image, crf)
        for name, prediction, target in zip(batch.names, classes, batch.target.numpy(), strict=True):
            yield name, prediction, target.astype(np.uint8)


def _crf_classes(logits: Tensor, image: Tensor, crf: CRFParameters) -> Image8:
    images = (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
    probability = logits.float().softmax(1).cpu().numpy()  # (N, K, H, W)
    refined = [DenseCRF(one, crf)(p).argmax(0) for one, p in zip(images, probability, strict=True)]
    return np.stack(refined).astype(np.uint8)


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    device_spec: DeviceSpec,
    *,
    batch_size: int = 1,
    boundaries: bool = True,
    crf: CRFParameters | None = None,
) -> Scores:
    """Scores a model on a dataset; arguments as in `predictions` and `Scores.add`."""
    scores = Scores(dataset.label_set)
    for name, prediction, target in predictions(model, dataset, device_spec, batch_size, crf):
        scores.add(prediction, target, name, boundaries=boundaries)
    return scores
