"""Batch normalisation over the whole batch, where several processes hold a part of it each.

On GPUs this is PyTorch's `SyncBatchNorm`. `WholeBatchNorm` is used where that cannot be:

- on a CPU, whose tensors it refuses ("SyncBatchNorm expected input tensor to be on GPU");
- with `train.low_memory`, which rebuilds normalised maps in the backward pass and must know their statistics, and
  `SyncBatchNorm` does not return them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.training.distributed import Processes


class WholeBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose statistics, in training, are those of all processes together.

    Parts may differ in size; each pixel counts once.

    Args:
        norm: taken over with its parameters and statistics, under the same names.
        processes: that hold the parts.
    """

    def __init__(self, norm: nn.BatchNorm2d, processes: Processes) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.__dict__.update(norm.__dict__)
        self.processes = processes

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> normalised, the same shape."""
        if not self.training:
            return super().forward(features)
        return self.normalise_batch(features)[0]

    def normalise_batch(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> normalised, the same shape; mean and biased variance of the whole batch, (C,)."""
        output, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]
            features, self.weight, self.bias, self.eps, self.processes
        )
        self._update(mean, variance * count / (count - 1))  # running variance is unbiased, as in PyTorch's BN
        return output, mean, variance

    @torch.no_grad()
    def _update(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        factor = 1 / self.num_batches_tracked if self.momentum is None else torch.tensor(self.momentum)
        self.running_mean.lerp_(mean, factor.to(mean))
        self.running_var.lerp_(unbiased_variance, factor.to(mean))


def normalise_over(
    processes: Processes, model: nn.Module, device: torch.device | None = None, *, low_memory: bool = False
) -> None:
    """Makes every `nn.BatchNorm2d` in a model one over all processes; `state_dict` and parameters stay as they are.

    Args:
        processes: that hold the parts of a batch.
        model: changed in place.
        device: that it is trained on; None is the CPU.
        low_memory: whether it is trained inside `recomputing()`.
    """
    if processes.count == 1:
        return
    on_gpu = device is not None and device.type == "cuda"
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                synchronised = nn.SyncBatchNorm.convert_sync_batchnorm if on_gpu and not low_memory else None
                setattr(parent, name, synchronised(child) if synchronised else WholeBatchNorm(child, processes))


@contextmanager
def normalising_alone(model: nn.Module) -> Iterator[None]:
    """A context in which every BN of `normalise_over` is a plain one: over what this process sees, without meeting."""
    norms = [module for module in model.modules() if isinstance(module, WholeBatchNorm | nn.SyncBatchNorm)]
    for norm in norms:
        norm.forward = MethodType(nn.BatchNorm2d.forward, norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


class _Normalise(torch.autograd.Function):
    """Features (N, C, H, W) -> normalised features, mean (C,), biased variance (C,), pixels per channel ().

    The loss is the sum of what the processes compute, so a gradient reaches the statistics from all of them.
    """

    @staticmethod
    def forward(
        context: Any, features: Tensor, weight: Tensor, bias: Tensor, eps: float, processes: Processes
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        variance, mean = torch.var_mean(features.to(weight.dtype), (0, 2, 3), correction=0)
        own_count = mean.new_tensor([features.numel() / features.shape[1]])
        counts, means, variances = processes.gather(torch.cat([own_count, mean, variance])).split(
            [1, len(mean), len(mean)], dim=1
        )  # (count of processes, 1 or C)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        # variance of the whole: that within each part, and that of the parts' means
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        context.save_for_backward(features, weight, mean, (variance + eps).rsqrt(), count)
        context.processes = processes
        context.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(features, mean, variance, weight, bias, training=False, eps=eps), mean, variance, count

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        features, weight, mean, inverse_deviation, count = context.saved_tensors
        gradient = gradient.to(weight.dtype)
        normal = (features.to(weight.dtype) - _per_channel(mean)) * _per_channel(inverse_deviation)
        of_bias = gradient.sum((0, 2, 3))
        of_weight = (gradient * normal).sum((0, 2, 3))
        share_of_mean, share_of_deviation = context.processes.sum(torch.stack([of_bias, of_weight])) / count
        of_features = gradient - _per_channel(share_of_mean) - normal * _per_channel(share_of_deviation)
        of_features *= _per_channel(weight * inverse_deviation)
        return of_features.to(features.dtype), of_weight, of_bias, None, None


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None]  # (C, 1, 1): broadcasts over (N, C, H, W)
