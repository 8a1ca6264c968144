"""Monte Carlo dropout: how sure a Bayesian net is of each pixel.

Source:
    Kendall, Badrinarayanan, Cipolla: Bayesian SegNet, 2015: mean of the softmax over samples is the prediction, their
    variance the uncertainty. Entropy and mutual information: Gal, Islam, Ghahramani, 2017, section 4.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segnet.errors import ConfigError


@dataclass(frozen=True)
class Uncertainty:
    """What N samples say together, each (N_pictures, H, W) but for the first.

    Attributes:
        probability: mean softmax, float32 (N, K, H, W).
        variance: of the softmax over samples, mean over classes, at least 0.
        entropy: of the mean softmax, in nats, 0..ln K: all uncertainty.
        mutual_information: entropy minus the mean entropy of the samples, in nats, at least 0: the part that more
            training data could remove.
    """

    probability: Tensor
    variance: Tensor
    entropy: Tensor
    mutual_information: Tensor


def sample_uncertainty(
    model: nn.Module, image: Tensor, num_samples: int, generator_seed: int | None = None
) -> Uncertainty:
    """Runs the net `num_samples` times with dropout on and everything else in evaluation mode.

    Args:
        model: a net with dropout, such as `bayesian-segnet`.
        image: float32 (N, 3, H, W) in [0, 1].
        num_samples: at least 1; more than about 6 beats plain evaluation, 40 saturates (Bayesian SegNet, figure 3).
        generator_seed: makes the samples repeatable without touching the caller's random state; None draws anew.

    Raises:
        ConfigError: no sample, or a net without dropout.
    """
    if num_samples < 1:
        raise ConfigError(f"uncertainty: wanted at least 1 sample, got {num_samples}")
    total = squares = entropies = torch.zeros(())
    with sampling(model), torch.no_grad(), torch.random.fork_rng(enabled=generator_seed is not None):
        if generator_seed is not None:
            torch.manual_seed(generator_seed)
        for _ in range(num_samples):
            probability = model(image).float().softmax(1)  # (N, K, H, W)
            total = total.to(probability.device) + probability
            squares = squares.to(probability.device) + probability.square()
            entropies = entropies.to(probability.device) + _entropy(probability)
    mean = total / num_samples
    entropy = _entropy(mean)
    return Uncertainty(
        mean,
        (squares / num_samples - mean.square()).clamp_min(0).mean(1),
        entropy,
        (entropy - entropies / num_samples).clamp_min(0),
    )


def _entropy(probability: Tensor) -> Tensor:
    """(N, K, H, W) -> (N, H, W), in nats; 0 log 0 is 0."""
    entropy: Tensor = torch.special.entr(probability).sum(1)
    return entropy


def has_dropout(model: nn.Module) -> bool:
    """Whether sampling the net gives different answers."""
    return any(isinstance(m, nn.Dropout | nn.Dropout2d) and m.p > 0 for m in model.modules())


@contextmanager
def sampling(model: nn.Module) -> Iterator[None]:
    """Dropout on, everything else (BN above all) in evaluation mode; every module's mode is restored at the end.

    Raises:
        ConfigError: a net without dropout, whose samples would all be the same.
    """
    if not has_dropout(model):
        raise ConfigError(
            f"{type(model).__name__} has no dropout to sample; use a Bayesian net such as bayesian-segnet-basic"
        )
    before = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.train()
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
