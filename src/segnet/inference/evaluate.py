"""Evaluation: predicts a dataset image by image, counts the pixels, and scores the counts."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from segnet.crf.dense_crf import CRFParameters, DenseCRF
from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset, Image8
from segnet.device import DeviceSpec
from segnet.metrics.scores import Scores


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
        crf: parameters of a fully connected CRF, which runs on the CPU; None uses the model's classes as they are.

    Yields:
        Name, prediction uint8 (H, W), target uint8 (H, W).
    """
    with torch.inference_mode(False):  # parameters moved inside inference mode could not be trained any more
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
