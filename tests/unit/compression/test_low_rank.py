"""Convolutions in two factors: what they compute, which ranks are chosen, and that the files are like any other."""

from pathlib import Path

import pytest
import torch
from torch import nn
from trained_models import random_images, trained

from segnet.compression.allocate import Budget
from segnet.compression.channels import find_groups
from segnet.compression.cost import LayerCost, macs_of
from segnet.compression.low_rank import Factors, choose_ranks, column_moments, factors_of, low_rank
from segnet.compression.prune import remove_groups, size_of
from segnet.compression.prune_run import PruneSettings
from segnet.errors import ConfigError, WeightsError
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.models.released_form import set_released_form
from segnet.models.widths import factorise, widths_of
from segnet.nn.layers import FactorisedConv2d
from segnet.weights.file import WeightsCard, load_weights, save_weights
from segnet.weights.vgg16 import load_vgg16

SIZE = (32, 48)
CARD = WeightsCard("segnet-basic", CAMVID_11)
NAME = "encoder.stage2.0.conv"


@pytest.fixture(scope="module")
def lean() -> nn.Module:
    """SegNet-Basic with 0.4 of its multiplications."""
    model = trained("segnet-basic")
    amount = 0.4 * macs_of(model, SIZE)
    return low_rank(model, find_groups(model), [random_images(2, 3, *SIZE)], "macs", amount, size_px=SIZE)


def test_factors_of_full_rank_are_the_convolution() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 5, 3, padding=1)
    image = torch.rand(1, 4, 9, 11)
    factors = factors_of(layer, column_moments(layer, {"": layer}, [image])[""])
    both = FactorisedConv2d(4, 5, 3, len(factors.energy), bias=True)
    with torch.no_grad():
        both.column.weight.copy_(factors.column.T.reshape(-1, 4, 3, 1))
        both.row.weight.copy_(factors.row.reshape(-1, 3, 5).permute(2, 0, 1)[:, :, None])
        both.row.bias = layer.bias
        torch.testing.assert_close(both(image), layer(image))
    assert factors.energy[-1] == 1


def test_what_inputs_never_show_is_not_kept() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 6, 3, padding=1, bias=False)
    one_channel = torch.zeros(1, 8, 20, 20)
    one_channel[:, 3] = torch.randn(20, 20)
    energies = [
        factors_of(layer, column_moments(layer, {"": layer}, [image])[""]).energy
        for image in (one_channel, torch.randn(1, 8, 20, 20))
    ]
    assert energies[0][2] > 0.999  # three values of one channel are all that a column has
    assert energies[1][2] < 0.7


def test_ranks_fall_where_that_loses_least_energy() -> None:
    layers = {name: nn.Conv2d(32, 32, 3, padding=1) for name in "ab"}
    costs = {name: LayerCost(9 * 32 * 48, 9, 1, depthwise=False) for name in "ab"}
    energy = {"a": torch.ones(96), "b": torch.linspace(0.01, 1, 96)}
    factors = {name: Factors(torch.zeros(96, 96), torch.zeros(96, 96), energy[name]) for name in "ab"}
    whole = costs["a"].macs(32, 32)
    ranks = choose_ranks(factors, layers, costs, 0.5 * whole, "macs")
    assert ranks == {"a": 24}  # 3/9 of 24 x 64 products are 512, of 32 x 32
    with pytest.raises(ConfigError, match="with every rank at its least"):
        choose_ranks(factors, layers, costs, 1.9 * whole, "macs")


def test_a_model_within_its_budget_is_close_to_the_original(lean: nn.Module) -> None:
    model = trained("segnet-basic")
    assert 0.36 * macs_of(model, SIZE) < macs_of(lean, SIZE) <= 0.4 * macs_of(model, SIZE)
    assert all(len(width) == 3 and width[2] % 8 == 0 for width in widths_of(lean).values())
    assert "classifier" not in widths_of(lean)
    image = random_images(2, 3, *SIZE)
    with torch.no_grad():
        apart = (lean(image) - model(image)).square().mean() / model(image).var()
    assert apart < 0.25  # random filters have no low rank; trained ones come far closer


def test_parameters_are_a_budget_too() -> None:
    model = trained("segnet-basic")
    groups = find_groups(model)
    amount = 0.3 * size_of(model, SIZE, groups).parameters
    lean = low_rank(model, groups, [random_images(1, 3, *SIZE)], "parameters", amount, size_px=SIZE)
    assert 0.25 * amount < size_of(lean, SIZE).parameters <= amount
    with pytest.raises(ConfigError, match="counts macs or parameters, not channels"):
        low_rank(model, groups, [], "channels", 1, size_px=SIZE)
    with pytest.raises(ConfigError, match="by rank takes one round, got 4"):
        PruneSettings(Budget("macs", 0.5), by="rank")


def test_its_file_is_like_any_other(lean: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "lean.safetensors"
    save_weights(path, lean, CARD, torch.float32)
    loaded, card = load_weights(path)
    assert card.widths == widths_of(lean) == widths_of(loaded)
    image = random_images(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(loaded(image), lean(image))
    classes = Predictor(path, device="cpu", precision="float32")(
        (255 * image[0].permute(1, 2, 0)).byte().numpy()
    ).classes
    with torch.no_grad():
        expected = lean((255 * image).byte().float() / 255).argmax(1)[0]
    assert (classes == expected.numpy()).mean() > 0.999


def test_its_channels_can_be_removed_too(lean: nn.Module, tmp_path: Path) -> None:
    groups = find_groups(lean)
    removed = [group for block in groups.blocks for group in block[8:]]
    leaner = remove_groups(lean, groups, removed)
    assert leaner.get_submodule(f"{NAME}.column").weight.shape[:2] == (8, 8)  # type: ignore[index,union-attr]
    path = tmp_path / "leaner.safetensors"
    save_weights(path, leaner, CARD, torch.float32)
    image = random_images(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(load_weights(path)[0](image), leaner(image))


def test_what_cannot_be_in_factors() -> None:
    model = create_model("segnet-basic", 11)
    with pytest.raises(ConfigError, match=r"classifier: expected a k x k convolution"):
        factorise(model, {NAME: 8, "classifier": 8})
    assert widths_of(model) == {}
    for widths, words in (
        ({NAME: (64, 64, 0)}, "got 64 and 64 and 0"),
        ({f"{NAME}.row": (8, 64)}, "has no layer"),
        ({NAME: (64, 64, 8), f"{NAME}.row": (9, 64)}, "1 to 8 input and 1 to 64 output channels, got 9"),
    ):
        with pytest.raises(ConfigError, match=words):
            create_model("segnet-basic", 11, widths=widths)
    vgg = create_model("segnet", 11, widths={"encoder.stage5.2.conv": (512, 512, 8)})
    with pytest.raises(WeightsError, match="no VGG16 encoder"):
        load_vgg16(vgg, Path("none.safetensors"))


def test_a_bias_belongs_to_the_second_factor() -> None:
    model = create_model("segnet-basic", 11, widths={NAME: (64, 64, 8)})
    set_released_form(model, conv_bias=True)
    assert model.get_submodule(f"{NAME}.column").bias is None
    assert model.get_submodule(NAME).bias is model.get_submodule(f"{NAME}.row").bias is not None
