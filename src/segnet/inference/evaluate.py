"""Evaluation: predicts a dataset image by image, counts the pixels, and scores the counts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet import palette
from segnet.crf.dense_crf import CRFParameters, refined
from segnet.data.adapting import adapt_dataset
from segnet.data.loader import ordered_batches
from segnet.data.resizing import Resized
from segnet.data.sample import Image8
from segnet.device import DeviceSpec, choose_device
from segnet.inference.test_time import TestTimeAugmentation, as_augmentation
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores
from segnet.nn.logits import logits_of


@torch.inference_mode()
def predictions(
    model: nn.Module,
    dataset: Any,
    device: DeviceSpec | str | torch.device | None = None,
    batch_size: int = 1,
    crf: CRFParameters | None = None,
    tta: str | TestTimeAugmentation | None = None,
    longest_side_px: int | None = None,
) -> Iterator[tuple[str, Image8, Image8]]:
    """Predicts every image of a dataset at its own size.

    Args:
        model: of this package or any other: (N, C, H, W) in [0, 1] -> logits (N, K, H, W); put in evaluation mode, and
            moved to the device.
        dataset: read in order; of this package or any other with labels, as in `segnet.data.adapt_dataset`.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`, a `torch.device`, or device and precision; None chooses.
        batch_size: images at once; above 1 they must be of one size.
        crf: parameters of a fully connected CRF, which runs on the CPU; None uses the model's classes as they are.
        tta: test-time augmentation, such as `flip` or `flip,0.75,1,1.25`; None predicts each image once.
        longest_side_px: to which larger images are resized for the model; its logits are resized back. None leaves
            them.

    Yields:
        Name, prediction uint8 (H, W), target uint8 (H, W).

    Raises:
        ConfigError: a test-time augmentation that cannot be read, or a device that is not there.
        ShapeError: the model does not give logits for the images.
        DataError or LabelError: samples of another form, as in `segnet.data.adapt_dataset`.
    """
    spec = device if isinstance(device, DeviceSpec) else choose_device("auto" if device is None else device)
    augmentation, dataset = as_augmentation(tta), adapt_dataset(dataset)
    num_classes = dataset.label_set.num_classes
    with torch.inference_mode(False):  # parameters moved inside inference mode could not be trained any more
        spec.ready(model.eval())

    def forward(image: Tensor) -> Tensor:
        with spec.autocast():
            return logits_of(model, image, num_classes)

    seen = dataset if longest_side_px is None else Resized(dataset, longest_side_px, targets=False)
    for number, batch in enumerate(ordered_batches(seen, batch_size)):
        image = batch.image.to(spec.device, memory_format=torch.channels_last)
        scores = forward(image) if augmentation is None else augmentation.probability(forward, image)
        if scores.shape[2:] != batch.target.shape[1:]:  # logits are resized, since class ids cannot be interpolated
            scores = F.interpolate(scores.float(), batch.target.shape[1:], mode="bilinear", align_corners=False)
        if crf is not None:
            probability = scores.float().softmax(1) if augmentation is None else scores
            if longest_side_px is None:
                rgb = _rgb(batch.image)
            else:  # the CRF sees the image at its own size
                first = number * batch_size
                rgb = [palette.displayed(dataset[first + i].image) for i in range(len(batch.names))]
            classes = refined(probability.cpu().numpy(), rgb, crf).argmax(1).astype(np.uint8)
        else:
            classes = scores.argmax(1).to(torch.uint8).cpu().numpy()  # (N, H, W)
        for name, prediction, target in zip(batch.names, classes, batch.target.numpy(), strict=True):
            yield name, prediction, target.astype(np.uint8)


def _rgb(image: Tensor) -> list[Image8]:
    """float32 (N, C, H, W) in [0, 1] -> N of RGB uint8 (H, W, 3)."""
    return [palette.displayed(one) for one in (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()]


def evaluate(
    model: nn.Module,
    dataset: Any,
    device: DeviceSpec | str | torch.device | None = None,
    *,
    classes: LabelSet | Sequence[str] | int | None = None,
    batch_size: int = 1,
    boundaries: bool = True,
    crf: CRFParameters | None = None,
    tta: str | TestTimeAugmentation | None = None,
    longest_side_px: int | None = None,
) -> Scores:
    """Scores a model on a dataset; arguments and errors as in `predictions` and `Scores.add`.

    Args:
        model: of this package or any other.
        dataset: the same, with labels.
        device: where to compute; None chooses.
        classes: label set, names or number of the classes; None takes those of the dataset.
        batch_size: images at once; above 1 they must be of one size.
        boundaries: whether to measure boundary F1 too.
        crf: parameters of a fully connected CRF; None uses none.
        tta: test-time augmentation; None predicts each image once.
        longest_side_px: to which larger images are resized for the model; None leaves them.

    Example:
        >>> scores = evaluate(model, dataset)
        >>> scores.mean_iou
    """
    own = adapt_dataset(dataset, classes)
    return Scores.of(
        own.label_set, predictions(model, own, device, batch_size, crf, tta, longest_side_px), boundaries=boundaries
    )
