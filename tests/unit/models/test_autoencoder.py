"""The ancestor against PyTorch's own operators, stage by stage; and its encoder as the start of SegNet-Basic."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segnet.labels import LabelSet, distinct_colours
from segnet.models import create_model
from segnet.models.autoencoder import NUM_STAGES, Autoencoder
from segnet.weights.file import WeightsCard, load_matching, save_weights

RGB = LabelSet("rgb", ("red", "green", "blue"), distinct_colours(3))


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(3).double()  # where the order of sums cannot change a maximum


def by_hand(model: Autoencoder, given: Tensor, first: int, last: int) -> Tensor:
    """The same with PyTorch's pooling pair and the filters by their public names."""
    state, kept, values = model.state_dict(), [], given
    for number in range(first, last + 1):
        weight, bias = (state[f"encoder.stage{number}.0.conv.{what}"] for what in ("weight", "bias"))
        before = F.conv2d(values, weight, bias, padding=3).tanh()
        values, flat = F.max_pool2d(before, 2, 2, ceil_mode=True, return_indices=True)
        kept.append((flat, before.shape[2:]))
    for number in range(last, first - 1, -1):
        flat, size = kept[number - first]
        weight, bias = (state[f"decoder.bank{number}.{what}"] for what in ("weight", "bias"))
        values = F.conv2d(F.max_unpool2d(values, flat, 2, output_size=size), weight, bias, padding=3)
    return values


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, NUM_STAGES), (2, 2), (2, 3), (4, 4)])
def test_reconstruction_equals_the_same_operators_by_hand(model: Autoencoder, first: int, last: int) -> None:
    channels = 3 if first == 1 else 64
    given = torch.randn(2, channels, 13, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model.reconstruct(given, first, last), by_hand(model, given, first, last))


def test_the_model_rebuilds_the_normalised_image(model: Autoencoder) -> None:
    image = torch.rand(1, 3, 17, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(model(image), model.reconstruct(model.normalisation(image), 1, NUM_STAGES))


def test_stages_follow_each_other(model: Autoencoder) -> None:
    given = torch.randn(1, 3, 21, 22, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        half, first = model.encoder(given, 1, 2)
        whole, second = model.encoder(half, 3, NUM_STAGES)
        together, kept = model.encoder(given)
        assert torch.equal(whole, together)
        assert all(torch.equal(a.packed, b.packed) for a, b in zip([*first, *second], kept, strict=True))
        assert model.encoder(given, 1, 0)[0] is given
    assert whole.abs().max() < 1


def test_its_encoder_starts_segnet_basic_and_its_decoder_is_thrown_away(tmp_path: Path) -> None:
    torch.manual_seed(4)
    ancestor = create_model("autoencoder", 3, normalisation="mean_std")
    path = tmp_path / "ancestor.safetensors"
    save_weights(path, ancestor, WeightsCard("autoencoder", RGB), torch.float32)
    model = create_model("segnet-basic", 11, normalisation="mean_std")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    left = load_matching(model, path)
    after = model.state_dict()
    filters = {f"encoder.stage{number}.0.conv.weight" for number in range(1, 5)}
    assert set(left) == set(after) - filters
    for key, value in after.items():
        assert torch.equal(value, ancestor.state_dict()[key] if key in filters else before[key]), key
    assert not torch.equal(after["encoder.stage1.0.conv.weight"], before["encoder.stage1.0.conv.weight"])
