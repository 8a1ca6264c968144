import math

import pytest
import torch
from torch import nn

from segnet.errors import ConfigError
from segnet.inference.uncertainty import DropoutSampler, sample_uncertainty
from segnet.models import create_model


class Coin(nn.Module):
    """Two classes; dropout decides which of them each pixel is: the most uncertain model there can be."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        kept = self.dropout(torch.ones_like(image[:, :1])) * 100.0  # 0 or 200
        return torch.cat([kept - 100, 100 - kept], 1)


def test_a_fair_coin_has_the_largest_uncertainty_and_all_of_it_is_mutual_information() -> None:
    result = sample_uncertainty(Coin(), torch.zeros(1, 3, 16, 16), 200, generator_seed=0)
    # The mean over 256 pixels of a 200-sample estimate; its standard error is far below the tolerances.
    assert result.probability[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    assert result.variance.mean() == pytest.approx(0.25, abs=0.01)
    assert result.entropy.mean() == pytest.approx(math.log(2), abs=0.01)
    assert torch.allclose(result.mutual_information, result.entropy, atol=1e-5)


def test_against_the_definitions_sample_by_sample() -> None:
    model = create_model("bayesian-segnet-basic", 5).eval()
    image = torch.rand(2, 3, 16, 20)
    torch.manual_seed(3)
    for module in model.modules():
        module.training = isinstance(module, nn.Dropout)
    with torch.no_grad():
        samples = torch.stack([model(image).softmax(1) for _ in range(4)])
    model.eval()
    result = sample_uncertainty(model, image, 4, generator_seed=3)
    mean = samples.mean(0)
    entropy = -(mean * mean.log()).sum(1)
    each = -(samples * samples.log()).sum(2).mean(0)
    assert torch.allclose(result.probability, mean, atol=1e-6)
    assert torch.allclose(result.variance, samples.var(0, unbiased=False).mean(1), atol=1e-6)
    assert torch.allclose(result.entropy, entropy, atol=1e-5)
    assert torch.allclose(result.mutual_information, entropy - each, atol=1e-5)
    assert result.variance.mean() > 0


def test_what_stands_before_the_first_dropout_is_computed_once() -> None:
    model = create_model("bayesian-segnet-basic", 3)
    sampler = DropoutSampler(model)
    calls: dict[str, int] = {}
    for name, module in (*sampler._before.named_modules(), *sampler._after.named_modules()):
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    sampler(torch.rand(1, 3, 16, 16), 5)
    once = {name for name, count in calls.items() if count == 1}
    assert once == {f"encoder.stage{stage}.0.conv" for stage in (1, 2, 3)}  # dropout follows the third pooling
    assert {count for name, count in calls.items() if name not in once} == {5}
    assert len(calls) == 9


def test_modes_and_random_state_are_as_before() -> None:
    model = create_model("bayesian-segnet-basic", 3).train()
    model.classifier.eval()
    image = torch.rand(1, 3, 8, 8)
    before, state = [m.training for m in model.modules()], torch.get_rng_state()
    running = model.encoder.stage1[0].norm.running_mean.clone()
    sample_uncertainty(model, image, 2, generator_seed=1)
    assert [m.training for m in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.encoder.stage1[0].norm.running_mean, running)


def test_a_model_without_dropout_is_refused() -> None:
    with pytest.raises(ConfigError, match="no dropout to sample"):
        sample_uncertainty(create_model("segnet-basic", 3), torch.rand(1, 3, 8, 8), 2)
    with pytest.raises(ConfigError, match="at least 1 sample"):
        sample_uncertainty(create_model("bayesian-segnet-basic", 3), torch.rand(1, 3, 8, 8), 0)
