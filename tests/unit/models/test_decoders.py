"""Table 1's models: the parameters the paper counts, what crosses from the encoder, and how maps are enlarged."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models import decoders
from segnet.models.segnet import SegNetBasic
from segnet.models.upsampling import bilinear_kernel

# Convolution weights at K = 11 beside the paper's figure in millions. The encoder has 3*64*49 + 3 * 64*64*49 = 611,520,
# which the paper seems to write as 0.625; to that it adds decoders of 0, 0.8, 0.025 and 1.0 (4*64*64*64 = 2 ** 20).
# So its sums are up to 0.036 away from the exact number, and never in the third digit of a decoder's own count.
PARAMETERS = [
    (decoders.BilinearInterpolation, 611_520 + 704, 0.625),  # the encoder and the 64 -> 11 classifier
    (SegNetBasic, 611_520 + 4 * 200_704 + 704, 1.425),  # four 7x7 64 -> 64
    (decoders.SegNetBasicEncoderAddition, 611_520 + 4 * 200_704 + 704, 1.425),
    (decoders.SegNetBasicSingleChannelDecoder, 611_520 + 4 * 64 * 49 + 704, 0.625),
    (decoders.FCNBasic, 611_520 + 4 * 11 * 11 * 64 + 4 * 704, 0.65),  # four 8x8 11 -> 11, four reductions
    (decoders.FCNBasicNoAddition, 611_520 + 4 * 11 * 11 * 64 + 704, 0.65),
    (decoders.FCNBasicNoDimReduction, 611_520 + 4 * 64 * 64 * 64 + 704, 1.625),  # four 8x8 64 -> 64
    (decoders.FCNBasicNoAdditionNoDimReduction, 611_520 + 4 * 64 * 64 * 64 + 704, 1.625),
]
VARIANTS = [variant for variant, _, _ in PARAMETERS]


def random_image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("variant", "expected", "printed"), PARAMETERS)
def test_convolution_weights_of_table_1(variant: type[nn.Module], expected: int, printed: float) -> None:
    model = variant(11)
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert weights == expected
    assert abs(weights / 1e6 - printed) < 0.036
    norms = sum(m.weight.numel() + m.bias.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    biases = sum(parameter.numel() for parameter in model.parameters()) - weights - norms
    assert biases <= 11  # the paper: "no biases are used after convolutions"; only a classifier that ends the model has


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_share_the_encoder(variant: type[nn.Module]) -> None:
    torch.manual_seed(0)
    first, second = SegNetBasic(4).eval(), variant(4).eval()
    second.encoder.load_state_dict(first.encoder.state_dict(), strict=False)
    image = random_image(21, 34)
    with torch.no_grad():
        assert torch.equal(first.encoder(image)[0], second.encoder(image)[0])


def test_bytes_that_cross_are_table_1s_storage() -> None:
    # Table 1 counts in units of one float32 map of half the image's size, over the first encoder only
    with torch.no_grad():
        image, unit = random_image(32, 64), 16 * 32 * 4
        _, maps = decoders.FCNBasic(11).encoder(image)
        assert maps[1].numel() * 4 == 11 * unit
        _, maps = decoders.FCNBasicNoDimReduction(11).encoder(image)
        assert maps[1].numel() * 4 == 64 * unit
        _, indices, maps = decoders.SegNetBasicEncoderAddition(11).encoder(image)
        assert maps[1].numel() * 4 == 64 * unit
        assert indices[0].num_bytes == 4 * unit  # 64 maps of 2 bits; the paper prints 1


# ------------------------------------------------------------------------------------------------ SegNet-Basic


def test_encoder_addition_without_maps_is_segnet_basic() -> None:
    torch.manual_seed(0)
    plain, added = SegNetBasic(4).eval(), decoders.SegNetBasicEncoderAddition(4).eval()
    added.load_state_dict(plain.state_dict())  # name by name
    image = random_image(19, 30)
    with torch.no_grad():
        features, indices, maps = added.encoder(image)
        zeros = {number: torch.zeros_like(kept) for number, kept in maps.items()}
        assert torch.equal(added.decoder(features, indices, zeros), plain.decoder(features, indices))
        assert not torch.equal(added.decoder(features, indices, maps), plain.decoder(features, indices))


def test_encoder_addition_adds_the_map_of_the_same_size() -> None:
    model = decoders.SegNetBasicEncoderAddition(4).eval()
    with torch.no_grad():
        features, indices, maps = model.encoder(random_image(19, 30))
        assert {number: tuple(kept.shape[2:]) for number, kept in maps.items()} == {1: (10, 15), 2: (5, 8), 3: (3, 4)}
        for parameter in model.decoder.parameters():
            parameter.zero_()  # stage 1 now gives zero, whatever was added before
        assert not model.decoder(features, indices, maps).any()


def test_a_single_channel_decoder_mixes_no_maps() -> None:
    decoder = decoders.SegNetBasicSingleChannelDecoder(4).eval().decoder
    model = SegNetBasic(4).eval()
    with torch.no_grad():
        features, indices = model.encoder(random_image(16, 16))
        changed = features.clone()
        changed[:, 5] += 1.0
        difference = (decoder(changed, indices) - decoder(features, indices)).abs().amax((0, 2, 3))
    assert difference.nonzero().flatten().tolist() == [5]


# ------------------------------------------------------------------------------------------------ FCN-Basic


def test_fcn_basic_begins_as_bilinear_interpolation() -> None:
    model = decoders.FCNBasicNoAddition(3).eval()
    kernel = torch.eye(3)[:, :, None, None] * bilinear_kernel(2, 8)
    assert torch.equal(model.decoder.upsample4.weight, kernel)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # BN begins as the identity, but for this
    features = torch.rand(1, 3, 6, 7)
    expected = features
    for _ in range(4):
        expected = F.interpolate(expected, scale_factor=2, mode="bilinear")
    with torch.no_grad():
        got = model.decoder(features, {}, (96, 112))
    # interpolation repeats the border, a deconvolution has zeros there: equal from the first map pixel's centre inwards
    torch.testing.assert_close(got[..., 24:-24, 24:-24], expected[..., 24:-24, 24:-24])


def test_fcn_basic_adds_the_maps_of_the_same_size() -> None:
    model = decoders.FCNBasic(3).eval()
    with torch.no_grad():
        features, maps = model.encoder(random_image(19, 30))
        assert {number: tuple(kept.shape[1:]) for number, kept in maps.items()} == {
            1: (3, 10, 15),
            2: (3, 5, 8),
            3: (3, 3, 4),
        }
        score = model.classifier(features)
        without = model.decoder(score, {}, (19, 30))
        only_first = model.decoder(torch.zeros_like(score), {1: maps[1]}, (19, 30))
        upsampled = model.decoder.norm1(model.decoder.upsample1(maps[1])[..., :19, :30])
    torch.testing.assert_close(only_first, upsampled)
    assert not torch.equal(without, model.decoder(score, maps, (19, 30)))


def test_bilinear_interpolation_commutes_with_the_classifier() -> None:
    model = decoders.BilinearInterpolation(5).eval()
    image = random_image(37, 50)
    with torch.no_grad():
        features, _ = model.encoder(model.normalisation(image))
        enlarged = F.interpolate(features, scale_factor=16, mode="bilinear")[..., :37, :50]
        torch.testing.assert_close(model(image), model.classifier(enlarged), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (33, 47)])
def test_any_size(variant: type[nn.Module], size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = variant(3).eval()(random_image(*size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()
