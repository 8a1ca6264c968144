"""Channels that belong together: found for every model, and respected when they are removed."""

import pytest
import torch
from torch import Tensor, nn
from trained_models import random_images, trained

from segnet.compression.channels import ChannelGroups, find_groups
from segnet.compression.prune import remove_groups
from segnet.errors import ConfigError
from segnet.models import MODELS, create_model
from segnet.models.widths import layers_with_channels, widths_of

FEW = 2  # groups removed of each block

# what is removed was zero, so only the order of sums differs: the bound below is far under any change of a class
TOLERANCE = 2e-5


def some_of_each(groups: ChannelGroups) -> set[int]:
    return {group for block in groups.blocks if len(block) > FEW for group in (block[0], block[-1])}


def silence(model: nn.Module, groups: ChannelGroups, removed: set[int]) -> None:
    """Makes channels zero everywhere: the rows of every layer that outputs them."""
    layers = layers_with_channels(model)
    with torch.no_grad():
        for name, layer in groups.layers.items():
            rows = [i for i, group in enumerate(layer.outputs) if group in removed]
            module = layers[name]
            for parameter in module.parameters(recurse=False):
                if isinstance(module, nn.ConvTranspose2d) and parameter.dim() > 1:
                    parameter[:, rows] = 0
                else:
                    parameter[rows] = 0
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean[rows] = 0  # type: ignore[index]


@pytest.mark.parametrize("name", MODELS)
def test_channels_that_are_zero_are_removed_without_changing_the_logits(name: str) -> None:
    model = trained(name)
    groups = find_groups(model)
    removed = some_of_each(groups)
    assert removed
    silence(model, groups, removed)
    lean = remove_groups(model, groups, removed)
    image = random_images(1, 3, 33, 46)  # odd: the last windows are clipped
    with torch.no_grad():
        expected, got = model(image), lean(image)
    assert widths_of(lean)
    assert not widths_of(model)
    assert (got - expected).abs().max() <= TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_no_group_removed_is_the_same_model(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 5)
    same = remove_groups(model, find_groups(model), ())
    assert {k: v.shape for k, v in same.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert not widths_of(same)


def test_a_pooled_map_and_the_map_unpooled_with_its_indices_are_one_group() -> None:
    with torch.device("meta"):
        groups = find_groups(create_model("segnet", 11))
    for stage, deeper in ((1, 2), (2, 3), (3, 4), (4, 5)):
        encoder = f"encoder.stage{stage}.{2 if stage > 2 else 1}.conv"
        decoder = f"decoder.stage{deeper}.{2 if deeper > 2 else 1}.conv"
        assert groups.layers[encoder].outputs == groups.layers[decoder].outputs
    # the deepest map is unpooled with its own indices; the others are free
    assert len(groups.blocks) == 13 + 13 - 1 - 4
    assert sum(map(len, groups.blocks)) == 64 * 2 + 128 * 2 + 256 * 3 + 512 * 6 + 512 * 4 + 256 * 2 + 128 + 64
    assert not set(groups.layers["classifier"].outputs) & {group for block in groups.blocks for group in block}


def test_additions_and_depthwise_convolutions_tie() -> None:
    with torch.device("meta"):
        added = find_groups(create_model("segnet-basic-encoder-addition", 11)).layers
        single = find_groups(create_model("segnet-basic-single-channel-decoder", 11))
    for stage in (1, 2, 3):
        assert added[f"encoder.stage{stage}.0.conv"].outputs == added[f"decoder.stage{stage + 1}.0.conv"].outputs
    assert added["encoder.stage1.0.conv"].outputs != added["encoder.stage2.0.conv"].outputs
    assert [len(block) for block in single.blocks] == [64]  # each map passes alone through the whole decoder


def test_concatenated_maps_keep_their_own_channels() -> None:
    with torch.device("meta"):
        layers = find_groups(create_model("unet", 11)).layers
    encoder, up = layers["encoder.stage1.1.conv"].outputs, layers["decoder.upsample1"].outputs
    assert layers["decoder.stage1.0.conv"].inputs == encoder + up


def test_channels_of_the_classes_stay() -> None:
    with torch.device("meta"):
        model = create_model("fcn-basic", 11)
    assert any(len(block) == 11 for block in find_groups(model).blocks)
    blocks = find_groups(model, ["classifier", "encoder.reduce1", "decoder.upsample1", "decoder.upsample4"]).blocks
    assert sorted(len(block) for block in blocks) == [11, 11, 64, 64, 64, 64] or all(len(b) in (11, 64) for b in blocks)


class Odd(nn.Module):
    """A model with an operator that nobody has told about."""

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = create_model("segnet-basic", 2).normalisation
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.classifier = nn.Conv2d(2, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.classifier(torch.pixel_shuffle(self.conv(self.normalisation(image)), 2))
        return result


class Thin(nn.Module):
    """A model whose only convolution gives the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = create_model("segnet-basic", 2).normalisation
        self.classifier = nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.classifier(self.normalisation(image))
        return result


def test_an_unknown_operator_and_a_model_without_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match="not known what 'pixel_shuffle' does to channels"):
        find_groups(Odd())
    with pytest.raises(ConfigError, match="no channels that could be removed"):
        find_groups(Thin())


def test_only_groups_that_can_go_are_removed() -> None:
    model = create_model("segnet-basic", 3)
    groups = find_groups(model)
    with pytest.raises(ConfigError, match="of the image or of the classes cannot be removed"):
        remove_groups(model, groups, {groups.layers["classifier"].outputs[0]})
    with pytest.raises(ConfigError, match=r"no channel of encoder.stage1.0.conv would be left"):
        remove_groups(model, groups, set(groups.layers["encoder.stage1.0.conv"].outputs))
