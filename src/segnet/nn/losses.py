"""Losses on logits (N, K, H, W) and targets (N, H, W) of class ids; `VOID` pixels never count.

Every function returns a scalar and gives 0 with zero gradient when no pixel is labelled.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segnet.errors import ConfigError
from segnet.labels import VOID


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    normalise_by: Literal["pixels", "weights"] = "pixels",
) -> Tensor:
    """Weighted cross entropy, averaged over labelled pixels.

    Args:
        logits: (N, K, H, W).
        target: class ids or `VOID`, int64 (N, H, W).
        class_weights: factor of each class, (K,); None is 1 for all.
        normalise_by: `pixels` divides by the number of labelled pixels, as the authors' Caffe does; `weights` divides
            by the sum of their weights, as `torch.nn.CrossEntropyLoss` does. Without weights the two are the same.

    Source:
        The Caffe fork's softmax_loss_layer. The paper (section 3.2) sums over the pixels of a mini-batch instead,
        which differs by a factor that the learning rate absorbs.
    """
    # in float32: 16 bits are too few for a log-softmax. Without labelled pixels 0 / tiny is 0, not NaN.
    total = F.cross_entropy(logits.float(), target, weight=class_weights, ignore_index=VOID, reduction="sum")
    return total / counted(target, class_weights, normalise_by).clamp_min(torch.finfo(torch.float32).tiny)


def counted(
    target: Tensor, class_weights: Tensor | None = None, normalise_by: Literal["pixels", "weights"] = "pixels"
) -> Tensor:
    """The divisor of `cross_entropy` for a target (N, H, W): the number of labelled pixels or the sum of their weights.

    Returns:
        float32 scalar, 0 when no pixel is labelled. The values of two batches can be added.
    """
    labelled = target != VOID
    if normalise_by == "pixels" or class_weights is None:
        return labelled.sum().float()
    return class_weights[target[labelled]].sum()


def focal(
    logits: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    class_weights: Tensor | None = None,
    normalise_by: Literal["pixels", "weights"] = "pixels",
) -> Tensor:
    """Cross entropy times `(1 - p) ** gamma`: pixels that are already right count less. Mean over labelled pixels.

    Args:
        logits: (N, K, H, W).
        target: class ids or `VOID`, int64 (N, H, W).
        gamma: at least 0, which is plain cross entropy.
        class_weights: factor of each class, (K,); None is 1 for all.
        normalise_by: as in `cross_entropy`.

    Raises:
        ConfigError: a gamma below 0.

    Source:
        Lin, Goyal, Girshick, He, Dollar: Focal loss for dense object detection, ICCV 2017.
    """
    if gamma < 0:
        raise ConfigError(f"focal loss: gamma {gamma}: expected at least 0")
    pixelwise = F.cross_entropy(logits.float(), target, ignore_index=VOID, reduction="none")  # (N, H, W); void is 0
    # for gamma below 1 the gradient of the power is infinite at 0
    wrong = (1 - torch.exp(-pixelwise)).clamp_min(torch.finfo(torch.float32).eps)
    weighted = wrong**gamma * pixelwise
    if class_weights is not None:
        weighted = weighted * class_weights[torch.where(target != VOID, target, 0)]  # void pixels are 0 already
    return weighted.sum() / counted(target, class_weights, normalise_by).clamp_min(torch.finfo(torch.float32).tiny)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, averaged over the classes present in the batch.

    Overlaps are counted over the whole batch, so a class missing in one image costs nothing there.

    Args:
        logits: (N, K, H, W).
        target: class ids or `VOID`, int64 (N, H, W).

    Source:
        Milletari, Navab, Ahmadi: V-Net, 3DV 2016 (squared denominator).
    """
    labelled = target != VOID
    probability = logits.float().softmax(1) * labelled[:, None]  # (N, K, H, W)
    num_classes = logits.shape[1]
    # gather needs valid ids: void becomes class 0, to which it adds nothing, as its probability and count are 0
    expected = torch.where(labelled, target, 0)
    of_target = probability.gather(1, expected[:, None]).squeeze(1)  # (N, H, W)
    overlap = torch.zeros(num_classes, device=logits.device).scatter_add(0, expected.flatten(), of_target.flatten())
    area = torch.zeros(num_classes, device=logits.device).scatter_add(0, expected.flatten(), labelled.flatten().float())
    present = area > 0
    score = 2 * overlap / (probability.square().sum((0, 2, 3)) + area).clamp_min(1)
    return ((1 - score) * present).sum() / present.sum().clamp_min(1)


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovasz-Softmax: a tight convex surrogate of one minus mean IoU, over the classes present in the batch.

    Args:
        logits: (N, K, H, W).
        target: class ids or `VOID`, int64 (N, H, W).

    Source:
        Berman, Triki, Blaschko: The Lovasz-Softmax loss, CVPR 2018 (classes "present", all pixels of the batch).
    """
    labelled = target != VOID
    probability = logits.float().softmax(1).movedim(1, -1)[labelled]  # (P, K)
    expected = target[labelled]  # (P,)
    losses = []
    for class_id in expected.unique().tolist():
        own = (expected == class_id).float()
        # largest error first: each is weighted by how much it raises the Jaccard loss of those before it
        error, order = (own - probability[:, class_id]).abs().sort(descending=True)
        own = own[order]
        union = own.sum() + (1 - own).cumsum(0)
        jaccard = 1 - (own.sum() - own.cumsum(0)) / union  # the loss if the first i pixels were all wrong
        losses.append((error * jaccard.diff(prepend=jaccard.new_zeros(1))).sum())
    return torch.stack(losses).mean() if losses else probability.sum()  # no pixel: 0, connected to the graph


def distillation(logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Divergence from a teacher's probabilities, averaged over all pixels; there is no target, so none is ignored.

    Args:
        logits: (N, K, H, W).
        teacher: logits of the teacher, the same shape, without gradient.
        temperature: both logits are divided by it; above 1 the unlikely classes count more. The loss is multiplied by
            its square, which keeps the size of the gradients.

    Raises:
        ConfigError: a temperature that is not above 0.

    Source:
        Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, 2015, section 2.
    """
    if not temperature > 0:
        raise ConfigError(f"distillation: temperature {temperature}: expected a number above 0")
    own = (logits.float() / temperature).log_softmax(1)
    expected = (teacher.float() / temperature).log_softmax(1)
    divergence = (expected.exp() * (expected - own)).sum(1)  # (N, H, W)
    return divergence.mean() * temperature**2
