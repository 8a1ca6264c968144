import pytest
import torch
from torch import nn

from segnet.errors import ConfigError
from segnet.models import MODELS, TENT_MODELS, create_model
from segnet.models.segnet import UnpoolingDecoder
from segnet.models.tent import init_tent, own_channels, tent_filter
from segnet.nn.layers import init_he
from segnet.pooling import max_pool, max_unpool

HE_NORM = 2**0.5  # of a filter: fan_in values of variance 2 / fan_in


def drawn(name: str, init: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return create_model(name, 5, init=init)  # type: ignore[arg-type]


def tents(name: str) -> dict[str, torch.Tensor]:
    """The filters of a model's decoder without the part that was drawn, by name."""
    he, tent = drawn(name, "he").state_dict(), drawn(name, "tent").state_dict()
    keys = [key for key, value in he.items() if key.startswith("decoder") and value.dim() == 4]
    return {key: tent[key] - 0.3 * area(he[key]) * he[key] for key in keys}


def area(weight: torch.Tensor) -> float:
    """Of a filter, in units of a 3x3 one."""
    return weight.shape[2] * weight.shape[3] / 9


# ------------------------------------------------------------------------------------------------ the filters


def test_the_3x3_tent_is_bilinear() -> None:
    assert tent_filter(3).tolist() == [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]


def test_the_7x7_tent_falls_evenly_to_all_sides() -> None:
    tent = tent_filter(7)
    assert tent.sum().item() == 4
    assert (tent[3] / tent[3, 3]).tolist() == [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25]
    assert torch.equal(tent, tent.T)


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (8, 4), (4, 8), (5, 3)])
def test_every_channel_that_comes_in_goes_on(inputs: int, outputs: int) -> None:
    own = own_channels(nn.Conv2d(inputs, outputs, 3))
    assert own.shape == (outputs, inputs)
    assert own.any(0).all() and own.any(1).all()
    for channel in range(min(inputs, outputs)):
        assert own[channel, channel]


def test_twice_as_many_in_as_out_are_taken_in_pairs() -> None:
    assert own_channels(nn.Conv2d(6, 3, 3)).nonzero().tolist() == [[0, 0], [0, 3], [1, 1], [1, 4], [2, 2], [2, 5]]


def test_groups_stay_among_themselves() -> None:
    assert own_channels(nn.Conv2d(4, 4, 7, groups=4)).tolist() == [[True]] * 4
    assert own_channels(nn.Conv2d(4, 4, 7, groups=2)).tolist() == [[True, False], [False, True]] * 2


# ------------------------------------------------------------------------------------------------ in the models


def test_segnet_basic_begins_with_a_tent_on_its_own_channel() -> None:
    found = tents("segnet-basic")
    assert len(found) == 4
    for key, weight in found.items():
        own = weight.diagonal(dim1=0, dim2=1)  # (7, 7, 64)
        others = weight - torch.diag_embed(own).permute(2, 3, 0, 1)
        assert others.abs().max() < 1e-6, key  # float32 rounding of x + y - y
        torch.testing.assert_close(own / own[3, 3], (16 / 4 * tent_filter(7))[..., None].expand(7, 7, 64))
        torch.testing.assert_close(own.flatten(0, 1).norm(dim=0), torch.full((64,), 0.95 * HE_NORM * 49 / 9))


def test_in_segnet_channels_that_become_fewer_are_taken_in_pairs() -> None:
    found = tents("segnet")
    assert len(found) == 12
    for weight in found.values():
        outputs, inputs = weight.shape[:2]
        share = 0.95 * HE_NORM / tent_filter(3).norm() / (inputs // outputs) ** 0.5
        for channel in (0, outputs - 1):
            for taken in range(channel, inputs, outputs):  # o, and o + Cout where Cin = 2 Cout
                torch.testing.assert_close(weight[channel, taken], share * tent_filter(3), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.full((outputs,), 0.95 * HE_NORM))
    assert {tuple(w.shape[:2]) for w in found.values()} >= {(256, 512), (128, 256), (64, 128)}


@pytest.mark.parametrize("name", ["segnet-basic", "segnet-basic-single-channel-decoder"])
def test_a_7x7_filter_is_as_much_longer_than_hes_as_its_area_is_larger(name: str) -> None:
    for conv in drawn(name, "tent").decoder.convolutions():
        norm = conv.weight.flatten(1).norm(dim=1)
        # 64 filters: the tent and 0.3 of a draw whose product with it varies by 0.3
        assert norm.mean().item() == pytest.approx(HE_NORM * 49 / 9, rel=0.1)


def test_a_3x3_filter_keeps_the_norm_that_he_gives_it() -> None:
    decoder = UnpoolingDecoder(64, ((64, 64), (32,)), 3, (0.0, 0.0), relu=True)
    model = nn.ModuleDict({"decoder": decoder})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        init_he(model)
    init_tent(model)
    for conv in decoder.convolutions():
        assert conv.weight.flatten(1).norm(dim=1).mean().item() == pytest.approx(HE_NORM, rel=0.05)


def test_a_constant_map_that_was_unpooled_comes_out_smooth() -> None:
    generator = torch.Generator().manual_seed(4)
    _, indices = max_pool(torch.rand(1, 1, 40, 40, generator=generator))  # the maxima stand anywhere in their windows
    sparse = max_unpool(torch.full((1, 1, 20, 20), 3.0), indices)
    assert (sparse == 0).float().mean() == 0.75
    inside = nn.functional.conv2d(sparse, tent_filter(7)[None, None], padding=3)[..., 4:-4, 4:-4]
    assert inside.mean().item() == pytest.approx(3.0, rel=0.03)  # windows at the edge lean in or out
    assert inside.std() < 0.15 * 3.0  # of the sparse map: 1.7 times its mean
    regular = torch.zeros(1, 1, 40, 40)
    regular[..., ::2, ::2] = 3.0
    for kernel_px in (3, 7):
        dense = nn.functional.conv2d(regular, tent_filter(kernel_px)[None, None], padding=kernel_px // 2)
        torch.testing.assert_close(dense[..., 4:-4, 4:-4], torch.full((1, 1, 32, 32), 3.0))


def test_the_whole_decoder_of_segnet_basic_keeps_a_map_that_he_loses() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1.0  # dark and bright halves
    similar = {}
    for init in ("he", "tent"):
        model = drawn("segnet-basic", init)
        with torch.no_grad():
            features, indices = model.encoder(image + 0.01 * torch.rand(1, 3, 64, 64))
            features[:, :, :, :2], features[:, :, :, 2:] = 0.0, 1.0
            dense = model.decoder(features, indices)[0].flatten(1)  # (64, 4096)
        step = torch.zeros(64, 64)
        step[:, 32:] = 1.0
        similar[init] = torch.corrcoef(torch.cat([step.flatten()[None], dense]))[0, 1:].mean().item()
    assert similar["tent"] > 0.7
    assert abs(similar["he"]) < 0.3


def test_all_but_the_decoder_is_as_he_draws_it() -> None:
    he, tent = drawn("segnet-basic", "he").state_dict(), drawn("segnet-basic", "tent").state_dict()
    changed = {key for key, value in he.items() if not torch.equal(value, tent[key])}
    assert changed == {f"decoder.stage{number}.0.conv.weight" for number in (1, 2, 3, 4)}


def test_he_is_the_default() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = MODELS["segnet-basic"](5).state_dict()
        torch.manual_seed(0)
        default = create_model("segnet-basic", 5).state_dict()
    for key, value in plain.items():
        assert torch.equal(value, default[key]), key


# ------------------------------------------------------------------------------------------------ which models


@pytest.mark.parametrize("name", MODELS)
def test_tent_models_are_those_that_unpool_and_convolve(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 5)
    assert isinstance(getattr(model, "decoder", None), UnpoolingDecoder) == (name in TENT_MODELS)
    if name in TENT_MODELS:
        with torch.device("meta"):
            create_model(name, 5, init="tent")


def test_a_model_without_such_a_decoder_is_refused_and_says_which_can() -> None:
    with pytest.raises(ConfigError, match="'unet' does not have; use 'he', or one of segnet, segnet-basic, "):
        create_model("unet", 5, init="tent")
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    before = model[0].weight.clone()
    with pytest.raises(ConfigError, match="Sequential has no decoder of unpooling"):
        init_tent(model)
    assert torch.equal(model[0].weight, before)


def test_an_unknown_initialisation_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown initialisation 'tents'; did you mean 'tent'"):
        create_model("segnet-basic", 5, init="tents")  # type: ignore[arg-type]
