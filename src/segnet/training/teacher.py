"""The teacher of a run: a trained model whose probabilities a smaller one learns from (distillation)."""

import torch
from torch import Tensor

from segnet.config import Config, FitConfig
from segnet.data.sample import Dataset
from segnet.device import DeviceSpec
from segnet.errors import WeightsError
from segnet.labels import LabelSet
from segnet.runtime.fold import folded
from segnet.runtime.precision import in_precision
from segnet.runtime.winograd import with_winograd
from segnet.weights.file import load_weights


class Teacher:
    """A trained model, folded and without gradients, that sees the same augmented images as the model that learns.

    Args:
        weights: name or path; of any model.
        label_set: of the data; the teacher must know the same classes in the same order.
        in_channels: C of the images.
        device_spec: device and precision of the run, which are the teacher's too.

    Raises:
        WeightsError: weights that cannot be read, of other classes, or for another number of channels.
    """

    def __init__(self, weights: str, label_set: LabelSet, in_channels: int, device_spec: DeviceSpec) -> None:
        model, card = load_weights(weights)
        if card.label_set.names != label_set.names:
            raise WeightsError(
                f"train.teacher {weights} knows the classes {', '.join(card.label_set.names)}; the data has "
                f"{', '.join(label_set.names)}; take a teacher that was trained for the same classes"
            )
        if card.in_channels != in_channels:
            raise WeightsError(
                f"train.teacher {weights} is for images of {card.in_channels} channels; the data has {in_channels}; "
                "take a teacher that was trained on the same channels"
            )
        dtype = getattr(torch, device_spec.precision)
        self._device = device_spec.device
        self._model = in_precision(folded(model), dtype).to(self._device)
        if self._device.type == "cpu":
            with_winograd(self._model, dtype)  # the teacher is most of the work of such a step

    def logits(self, image: Tensor) -> Tensor:
        """Floating (N, C, H, W) in [0, 1], on the run's device -> logits float32 (N, K, H, W)."""
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            result: Tensor = self._model(image)
        return result.float()


def teacher_of(config: Config | FitConfig, train_set: Dataset, device_spec: DeviceSpec) -> Teacher | None:
    """The teacher that settings name; None where they name none, or give it no weight.

    Raises:
        WeightsError: as in `Teacher`.
    """
    if not config.train.teacher or not config.loss.distillation:
        return None
    return Teacher(config.train.teacher, train_set.label_set, train_set[0].image.shape[2], device_spec)
