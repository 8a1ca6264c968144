"""DeconvNet: parameter counts, the mirror image, and the paper's puzzling model size."""

import pytest
import torch
from torch import Tensor, nn

from segnet.models.deconvnet import DeconvNet
from segnet.models.vgg import PoolingEncoder
from segnet.nn.layers import ConvBN

ENCODER = 14_710_464  # weights of VGG16's 13 convolutions
DECODER = 14_745_600  # its mirror image: 64 -> 64 in place of 3 -> 64 (1,728), 64 * 64 * 9 = 36,864


@pytest.fixture(scope="module")
def model() -> DeconvNet:
    """One with few fully connected units: the same structure, drawn in no time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DeconvNet(3, fc_channels=8).eval()


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


def weights(fc_channels: int, num_classes: int = 11) -> int:
    with torch.device("meta"):
        made = DeconvNet(num_classes, fc_channels=fc_channels)
    return sum(module.weight.numel() for module in made.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("fc_channels", [1024, 4096])
def test_convolution_weights(fc_channels: int) -> None:
    fully_connected = 2 * 512 * 49 * fc_channels + fc_channels**2
    assert weights(fc_channels) == ENCODER + fully_connected + DECODER + 64 * 11


def test_the_model_size_of_table_6() -> None:
    # the paper prints 877 MB, ours with 7x7 filters has 328 MB. With 12x15 filters, which see all of pool 5 at 360x480
    # at once, 1024 units make exactly the printed number.
    whole_map = weights(1024) + 2 * 512 * 1024 * (12 * 15 - 7 * 7)
    assert round(whole_map * 4 / 1e6) == 877
    assert round(weights(1024) * 4 / 1e6) == 328


def test_the_default_has_1024_units() -> None:
    with torch.device("meta"):
        made = DeconvNet(2)
    assert made.fc.fc6.conv.out_channels == made.fc.fc7.conv.out_channels == 1024
    assert isinstance(made.encoder, PoolingEncoder)
    dropout = {key: m.p for key, m in made.named_modules() if isinstance(m, nn.Dropout) and m.p > 0}
    assert dropout == {"fc.dropout6": 0.5, "fc.dropout7": 0.5}


def test_the_decoder_mirrors_the_encoder(model: DeconvNet) -> None:
    def convolutions(part: nn.Module) -> list[tuple[int, int]]:
        return [(m.conv.in_channels, m.conv.out_channels) for m in part.modules() if isinstance(m, ConvBN)]

    mirrored = [(after, before) for before, after in reversed(convolutions(model.encoder))]
    assert mirrored[-1] == (64, 3)
    assert convolutions(model.decoder) == [*mirrored[:-1], (64, 64)]  # the classifier does the last step


def test_fully_connected_layers_keep_the_size(model: DeconvNet) -> None:
    features = torch.rand(1, 512, 3, 2)
    with torch.no_grad():
        assert model.fc(features).shape == features.shape


def test_unpooling_uses_the_indices_of_the_same_level(model: DeconvNet) -> None:
    with torch.no_grad():
        features, indices = model.encoder(model.normalisation(image(33, 47)))
        sizes = [kept.size for kept in indices]
        assert sizes == [(33, 47), (17, 24), (9, 12), (5, 6), (3, 3)]
        seen = []
        hooks = [
            model.decoder.get_submodule(f"stage{number}").register_forward_pre_hook(
                lambda _, inputs: seen.append((inputs[0] != 0).float().mean().item())
            )
            for number in range(5, 0, -1)
        ]
        model.decoder(model.fc(features), indices)
        for hook in hooks:
            hook.remove()
    assert len(seen) == 5
    assert all(share < 0.5 for share in seen)  # one value per window of four, more in clipped windows


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47)])
def test_any_size(model: DeconvNet, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = model(image(*size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()
