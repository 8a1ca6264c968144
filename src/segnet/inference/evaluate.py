"""Evaluation: predicts a dataset image by image, counts the pixels, and scores the counts."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from segnet import palette
from segnet.crf.dense_crf import CRFParameters, refined
from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset, Image8
from segnet.device import DeviceSpec, choose_device
from segnet.inference.test_time import TestTimeAugmentation, as_augmentation
from segnet.metrics.scores import Scores


@torch.inference_mode()
def predictions(
    model: nn.Module,
    dataset: Dataset,
    device_spec: DeviceSpec | None = None,
    batch_size: int = 1,
    crf: CRFParameters | None = None,
    tta: str | TestTimeAugmentation | None = None,
) -> Iterator[tuple[str, Image8, Image8]]:
    """Predicts every image of a dataset at its own size.

    Args:
        model: put in evaluation mode, and moved to the device.
        dataset: read in order.
        device_spec: device and precision; None chooses.
        batch_size: images at once; above 1 they must be of one size.
        crf: parameters of a fully connected CRF, which runs on the CPU; None uses the model's classes as they are.
        tta: test-time augmentation, such as `flip` or `flip,0.75,1,1.25`; None predicts each image once.

    Yields:
        Name, prediction uint8 (H, W), target uint8 (H, W).

    Raises:
        ConfigError: a test-time augmentation that cannot be read.
    """
    spec, augmentation = device_spec or choose_device(), as_augmentation(tta)
    with torch.inference_mode(False):  # parameters moved inside inference mode could not be trained any more
        spec.ready(model.eval())

    def logits_of(image: Tensor) -> Tensor:
        with spec.autocast():
            logits: Tensor = model(image)
        return logits

    for batch in ordered_batches(dataset, batch_size):
        image = batch.image.to(spec.device, memory_format=torch.channels_last)
        scores = logits_of(image) if augmentation is None else augmentation.probability(logits_of, image)
        if crf is not None:
            probability = scores.float().softmax(1) if augmentation is None else scores
            classes = refined(probability.cpu().numpy(), _rgb(batch.image), crf).argmax(1).astype(np.uint8)
        else:
            classes = scores.argmax(1).to(torch.uint8).cpu().numpy()  # (N, H, W)
        for name, prediction, target in zip(batch.names, classes, batch.target.numpy(), strict=True):
            yield name, prediction, target.astype(np.uint8)


def _rgb(image: Tensor) -> list[Image8]:
    """float32 (N, C, H, W) in [0, 1] -> N of RGB uint8 (H, W, 3)."""
    return [palette.displayed(one) for one in (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()]


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    device_spec: DeviceSpec | None = None,
    *,
    batch_size: int = 1,
    boundaries: bool = True,
    crf: CRFParameters | None = None,
    tta: str | TestTimeAugmentation | None = None,
) -> Scores:
    """Scores a model on a dataset; arguments as in `predictions` and `Scores.add`.

    Example:
        >>> scores = evaluate(model, dataset)
        >>> scores.mean_iou
    """
    scores = Scores(dataset.label_set)
    for name, prediction, target in predictions(model, dataset, device_spec, batch_size, crf, tta):
        scores.add(prediction, target, name, boundaries=boundaries)
    return scores
