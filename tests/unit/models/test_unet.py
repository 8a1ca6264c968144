"""U-Net: the layers and parameters of its paper, and that the whole encoder maps arrive in the decoder."""

import pytest
import torch
from torch import Tensor, nn

from segnet.models.unet import UNet

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


@pytest.fixture(scope="module")
def model() -> UNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet(2).eval()


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


def test_23_convolutional_layers(model: UNet) -> None:
    # section 2: "In total the network has 23 convolutional layers"
    assert sum(isinstance(module, CONVOLUTIONS) for module in model.modules()) == 23
    assert sum(isinstance(module, nn.ConvTranspose2d) for module in model.modules()) == 4


def test_parameters_of_figure_1(model: UNet) -> None:
    # figure 1's model has 31,030,658 parameters: one grey channel, two classes, a bias in every layer. Ours has two
    # more channels in, and BN's scale and shift where the 18 3x3 convolutions of 5,888 channels had a bias.
    widths = 2 * (64 + 128 + 256 + 512 + 1024) + 2 * (512 + 256 + 128 + 64)
    assert widths == 5_888
    expected = 31_030_658 + 2 * 64 * 9 + widths
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_whole_maps_arrive_in_the_decoder(model: UNet) -> None:
    with torch.no_grad():
        features, maps = model.encoder(model.normalisation(image(33, 47)))
        shapes = [tuple(kept.shape[1:]) for kept in maps]
        assert shapes == [(64, 33, 47), (128, 17, 24), (256, 9, 12), (512, 5, 6)]
        assert tuple(features.shape[1:]) == (1024, 3, 3)
        seen = {}
        hooks = [
            model.decoder.get_submodule(f"stage{number}").register_forward_pre_hook(
                lambda _, inputs, number=number: seen.update({number: inputs[0]})
            )
            for number in (1, 2, 3, 4)
        ]
        model.decoder(features, maps)
        for hook in hooks:
            hook.remove()
    for number, kept in enumerate(maps, start=1):
        channels = kept.shape[1]
        assert seen[number].shape[1] == 2 * channels
        assert torch.equal(seen[number][:, :channels], kept)


def test_dropout_stands_at_the_end_of_the_contracting_path(model: UNet) -> None:
    dropout = {key: module.p for key, module in model.named_modules() if isinstance(module, nn.Dropout)}
    assert dropout == {"encoder.dropout4": 0.5, "encoder.dropout5": 0.5}


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47)])
def test_any_size(model: UNet, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = model(image(*size))
    assert logits.shape == (1, 2, *size)
    assert logits.isfinite().all()
