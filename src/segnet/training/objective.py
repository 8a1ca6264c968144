"""What a step minimises: the loss that settings name, or the caller's own, over batches and processes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from segnet.config import LossSettings
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.sample import Dataset
from segnet.device import DeviceSpec
from segnet.errors import ShapeError
from segnet.nn.losses import counted, cross_entropy, dice, focal, lovasz

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (N, K, H, W), target (N, H, W)) -> scalar."""


@dataclass(frozen=True)
class Objective:
    """The loss of a step.

    Attributes:
        settings: which terms, with their factors.
        class_weights: (K,), on the device; None is 1 for all.
        own: the caller's loss, which is then the only term.
    """

    settings: LossSettings
    class_weights: Tensor | None = None
    own: Loss | None = None

    def counted(self, target: Tensor) -> Tensor:
        """The divisor of the cross entropy of a target (N, H, W); those of the batches of a step add up."""
        step = self.settings.stride_px
        return counted(target[:, ::step, ::step], self.class_weights, self.settings.normalise_by)

    def __call__(self, logits: Tensor, target: Tensor, total: Tensor | None = None, parts: int = 1) -> Tensor:
        """What one batch adds to the loss of a step.

        Args:
            logits: float32 (N, K, H, W).
            target: class ids or `VOID`, int64 (N, H, W).
            total: `counted` over all batches of the step; None takes this batch alone.
            parts: number of those batches, over which the terms without a count are averaged.

        Raises:
            ShapeError: the caller's loss is not a scalar.
        """
        if self.own is not None:
            loss = self.own(logits, target)
            if not isinstance(loss, Tensor) or loss.dim() != 0:
                got = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
                raise ShapeError(f"loss: expected a scalar tensor, got {got}; average over the pixels")
            return loss / parts
        settings, step = self.settings, self.settings.stride_px
        own_count = self.counted(target)
        share = own_count / (own_count if total is None else total).clamp_min(torch.finfo(torch.float32).tiny)
        logits, target = logits[:, :, ::step, ::step], target[:, ::step, ::step]
        if settings.focal_gamma:
            loss = focal(logits, target, settings.focal_gamma, self.class_weights, settings.normalise_by)
        else:
            loss = cross_entropy(logits, target, self.class_weights, settings.normalise_by)
        loss = share * loss
        if settings.dice:
            loss = loss + settings.dice * dice(logits, target) / parts
        if settings.lovasz:
            loss = loss + settings.lovasz * lovasz(logits, target) / parts
        return loss


def class_weights_of(settings: LossSettings, train_set: Dataset, device_spec: DeviceSpec) -> Tensor | None:
    """The class weights that settings ask for, (K,) on the device; reads all targets where there are any.

    Raises:
        SegNetError: as in `count_frequencies`.
    """
    if settings.class_weights == "none":
        return None
    with_void = settings.class_weights == "median_frequency_void"
    weights = median_frequency(count_frequencies(train_set), with_void=with_void).to(device_spec.device)
    return weights.sqrt() if settings.class_weights == "sqrt_median_frequency" else weights
