"""Monte Carlo dropout: the uncertainty of a Bayesian model at each pixel.

Source:
    Kendall, Badrinarayanan, Cipolla: Bayesian SegNet, 2015: mean of the softmax over samples is the prediction, their
    variance the uncertainty. Entropy and mutual information: Gal, Islam, Ghahramani, 2017, section 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from segnet.errors import ConfigError
from segnet.runtime.fold import traced
from segnet.runtime.stopping import go_on

UNCERTAINTIES = ("variance", "entropy", "mutual_information")


@dataclass(frozen=True)
class Uncertainty:
    """Statistics over Monte Carlo samples; each (N, H, W) except `probability`.

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


class DropoutSampler:
    """A model split at its first dropout: the part before it is computed once, the rest for every sample.

    Args:
        model: a model of `MODELS` with dropout; it is not changed.

    Raises:
        ConfigError: a model without dropout, whose samples would all be equal.
    """

    def __init__(self, model: nn.Module) -> None:
        if not has_dropout(model):
            raise ConfigError(
                f"{type(model).__name__} has no dropout to sample; use a Bayesian model such as bayesian-segnet-basic"
            )
        traced_model = traced(model)
        for module in traced_model.modules():
            if _is_dropout(module):
                module.train()
        self._before, self._after = _cut(traced_model)

    @torch.no_grad()
    def __call__(self, image: Tensor, num_samples: int, generator_seed: int | None = None) -> Uncertainty:
        """Samples one batch; arguments and errors as for `sample_uncertainty`."""
        if num_samples < 1:
            raise ConfigError(f"uncertainty: expected at least 1 sample, got {num_samples}")
        total = squares = entropies = torch.zeros((), device=image.device)
        features = self._before(image)
        with torch.random.fork_rng(enabled=generator_seed is not None):
            if generator_seed is not None:
                torch.manual_seed(generator_seed)
            for _ in range(num_samples):
                go_on()
                probability = self._after(*features).float().softmax(1)  # (N, K, H, W)
                total = total + probability
                squares = squares + probability.square()
                entropies = entropies + _entropy(probability)
        mean = total / num_samples
        entropy = _entropy(mean)
        return Uncertainty(
            mean,
            (squares / num_samples - mean.square()).clamp_min(0).mean(1),
            entropy,
            (entropy - entropies / num_samples).clamp_min(0),
        )


def sample_uncertainty(
    model: nn.Module, image: Tensor, num_samples: int, generator_seed: int | None = None
) -> Uncertainty:
    """Samples a model with active dropout and everything else, in particular BN, in evaluation mode.

    Args:
        model: a model with dropout, such as `bayesian-segnet`; it is not changed. For many images keep a
            `DropoutSampler`.
        image: float32 (N, 3, H, W) in [0, 1].
        num_samples: at least 1; more than about 6 beats plain evaluation, 40 saturates (Bayesian SegNet, figure 3).
        generator_seed: makes the samples repeatable without changing the caller's random state; None uses that state.

    Raises:
        ConfigError: fewer than 1 sample, or a model without dropout.
    """
    return DropoutSampler(model)(image, num_samples, generator_seed)


def _entropy(probability: Tensor) -> Tensor:
    """(N, K, H, W) -> (N, H, W), in nats; 0 log 0 is 0."""
    entropy: Tensor = torch.special.entr(probability).sum(1)
    return entropy


def has_dropout(model: nn.Module) -> bool:
    """Whether the model has dropout, so that its samples differ."""
    return any(_is_dropout(module) for module in model.modules())


def _is_dropout(module: nn.Module) -> bool:
    """A dropout that is active in training; those with probability 0 do nothing."""
    return isinstance(module, nn.Dropout | nn.Dropout2d) and module.p > 0


def _cut(traced_model: fx.GraphModule) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Two graphs: image -> inputs of the random part, and these -> logits.

    Random are each dropout and all operators that depend on it.
    """
    random: set[fx.Node] = set()
    for node in traced_model.graph.nodes:
        is_dropout = node.op == "call_module" and _is_dropout(traced_model.get_submodule(node.target))
        if is_dropout or not random.isdisjoint(node.all_input_nodes):
            random.add(node)
    fixed = [node for node in traced_model.graph.nodes if node not in random]
    passed = [node for node in fixed if not random.isdisjoint(node.users)]
    before, after = fx.Graph(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in fixed:
        copies[node] = before.node_copy(node, copies.__getitem__)
    before.output(tuple(copies[node] for node in passed))
    copies = {node: after.placeholder(node.name) for node in passed}
    for node in traced_model.graph.nodes:
        if node in random:
            copies[node] = after.node_copy(node, copies.__getitem__)
    return fx.GraphModule(traced_model, before), fx.GraphModule(traced_model, after)
