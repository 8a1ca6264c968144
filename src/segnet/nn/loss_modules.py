"""The losses as modules, for training loops that take `loss(logits, target)`."""

from typing import Literal

import torch
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.nn.losses import cross_entropy, dice, focal, lovasz


class CrossEntropyLoss(nn.Module):
    """`cross_entropy` as a module: (logits (N, K, H, W), target (N, H, W)) -> scalar.

    Args:
        class_weights: factor of each class, (K,); None is 1 for all. It moves with the module.
        normalise_by: as in `cross_entropy`.
    """

    class_weights: Tensor | None

    def __init__(
        self, class_weights: Tensor | None = None, normalise_by: Literal["pixels", "weights"] = "pixels"
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights)
        self.normalise_by = normalise_by

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K, H, W) and target (N, H, W) -> scalar."""
        return cross_entropy(logits, target, self.class_weights, self.normalise_by)


class FocalLoss(nn.Module):
    """`focal` as a module; arguments as there and in `CrossEntropyLoss`.

    Raises:
        ConfigError: a gamma below 0.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        class_weights: Tensor | None = None,
        normalise_by: Literal["pixels", "weights"] = "pixels",
    ) -> None:
        super().__init__()
        if gamma < 0:
            raise ConfigError(f"focal loss: gamma {gamma}: expected at least 0")
        self.register_buffer("class_weights", class_weights)
        self.gamma, self.normalise_by = gamma, normalise_by

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K, H, W) and target (N, H, W) -> scalar."""
        return focal(logits, target, self.gamma, self.class_weights, self.normalise_by)


class DiceLoss(nn.Module):
    """`dice` as a module."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K, H, W) and target (N, H, W) -> scalar."""
        return dice(logits, target)


class LovaszLoss(nn.Module):
    """`lovasz` as a module."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K, H, W) and target (N, H, W) -> scalar."""
        return lovasz(logits, target)


class WeightedSum(nn.Module):
    """A sum of losses with factors.

    Args:
        terms: pairs (factor, loss), at least one.

    Raises:
        ConfigError: no term.

    Example:
        >>> loss = WeightedSum((1.0, CrossEntropyLoss()), (0.5, DiceLoss()))
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)).shape
        torch.Size([])
    """

    def __init__(self, *terms: tuple[float, nn.Module]) -> None:
        super().__init__()
        if not terms:
            raise ConfigError("WeightedSum: expected pairs (factor, loss), got none")
        self.factors = tuple(factor for factor, _ in terms)
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, K, H, W) and target (N, H, W) -> scalar."""
        terms = [factor * loss(logits, target) for factor, loss in zip(self.factors, self.losses, strict=True)]
        return torch.stack(terms).sum()
