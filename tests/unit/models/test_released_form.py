from pathlib import Path

import pytest
import torch
from torch import nn

from segnet.errors import ConfigError
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.models.released_form import set_released_form
from segnet.nn.layers import ConvBN
from segnet.nn.recompute import recomputing
from segnet.weights.file import WeightsCard, load_weights, save_weights


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def released() -> nn.Module:
    torch.manual_seed(0)
    model = create_model("segnet-basic", 11)
    set_released_form(model, conv_bias=True, bn_eps=1e-9, bn_shift=0.001)
    return model


def test_every_convolution_before_bn_has_a_bias_and_bn_the_details() -> None:
    model = released()
    biases = [unit.conv.bias for unit in model.modules() if isinstance(unit, ConvBN)]
    assert len(biases) == 8
    assert all(bias is not None and bias.requires_grad and not bias.any() for bias in biases)
    assert {norm.eps for norm in norms(model)} == {1e-9}
    assert all((norm.bias == 0.001).all() for norm in norms(model))


def test_the_other_weights_are_those_of_the_same_seed() -> None:
    torch.manual_seed(0)
    plain = create_model("segnet-basic", 11)
    assert torch.equal(released().encoder.stage1[0].conv.weight, plain.encoder.stage1[0].conv.weight)  # type: ignore[operator,index,union-attr]


def test_by_default_nothing_changes() -> None:
    model = create_model("enet", 11)
    before = [norm.eps for norm in norms(model)]
    set_released_form(model)
    assert [norm.eps for norm in norms(model)] == before


def test_a_model_without_such_a_convolution_is_refused() -> None:
    with pytest.raises(ConfigError, match="set it to false"):
        set_released_form(create_model("enet", 11), conv_bias=True)


def test_weights_come_back_with_their_form(tmp_path: Path) -> None:
    model = released().eval()
    for unit in model.modules():
        if isinstance(unit, ConvBN):
            assert unit.conv.bias is not None
            nn.init.normal_(unit.conv.bias)
    card = WeightsCard("segnet-basic", CAMVID_11, conv_bias=True, bn_eps=1e-9)
    save_weights(tmp_path / "w.safetensors", model, card, torch.float32)
    loaded, read = load_weights(tmp_path / "w.safetensors")
    assert (read.conv_bias, read.bn_eps) == (True, 1e-9)
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))


def test_low_memory_training_counts_the_bias() -> None:
    image = torch.rand(2, 3, 32, 32)
    gradients = []
    for low_memory in (False, True):
        model = released().train()
        for unit in model.modules():
            if isinstance(unit, ConvBN):
                assert unit.conv.bias is not None
                nn.init.ones_(unit.conv.bias)
        with recomputing(low_memory):
            model(image).square().mean().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
