"""FCN on VGG16: bilinear filters against interpolation, sizes of skips, and the paper's model size."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models import fcn
from segnet.models.upsampling import bilinear_kernel, crop, init_bilinear, learnt_upsampling, upsample_bilinear
from segnet.models.vgg import PoolingEncoder

TABLE_MODELS = [fcn.FCN32s, fcn.FCN16s, fcn.FCN8s, fcn.FCN8sLearnt]
VGG16 = 14_710_464  # weights of the 13 convolutions
FC = 512 * 4096 * 49 + 4096 * 4096  # fc6 over 7x7, fc7


@pytest.fixture(scope="module")
def learnt() -> nn.Module:
    """The largest of the four; drawing 134 million weights takes its time, so once."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return fcn.FCN8sLearnt(3).eval()


def random_image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


# ------------------------------------------------------------------------------------------------ upsampling


@pytest.mark.parametrize(("factor", "kernel_px"), [(2, 4), (2, 8), (8, 16), (16, 32), (32, 64)])
def test_the_bilinear_kernel_is_bilinear_interpolation(factor: int, kernel_px: int) -> None:
    layer = learnt_upsampling(3, factor, kernel_px)
    init_bilinear(layer)
    features = torch.rand(2, 3, 4, 5)
    with torch.no_grad():
        got = layer(features)
    expected = F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
    assert got.shape == expected.shape
    edge = factor // 2  # outside the centres of the border pixels, interpolation repeats them and the filter sees zeros
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(got[inside], expected[inside])
    assert torch.equal(upsample_bilinear(features, factor), expected)


def test_the_kernel_by_hand() -> None:
    assert bilinear_kernel(2, 4)[0].tolist() == [0.0625, 0.1875, 0.1875, 0.0625]
    assert bilinear_kernel(2, 8)[3].tolist() == [0.0, 0.0, 0.1875, 0.5625, 0.5625, 0.1875, 0.0, 0.0]


def test_crop_keeps_the_top_left() -> None:
    assert crop(torch.arange(12).view(1, 1, 3, 4), (2, 3)).flatten().tolist() == [0, 1, 2, 4, 5, 6]


# ------------------------------------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("model", "extra"),
    [(fcn.FCN32s, 0), (fcn.FCN16s, 512), (fcn.FCN8s, 512 + 256), (fcn.FCN8sLearnt, 512 + 256 + 11 * (16 + 16 + 256))],
)
def test_convolution_weights(model: type[nn.Module], extra: int) -> None:
    with torch.device("meta"):
        made = model(11)
    weights = sum(m.weight.numel() for m in made.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert weights == VGG16 + FC + 11 * (4096 + extra)


def test_the_model_size_of_table_6() -> None:
    # the paper prints 539 MB for "FCN (learnt deconv)"; so it is with SUN RGB-D's 37 classes and full 37 x 37 filters
    with torch.device("meta"):
        made = fcn.FCN8sLearnt(37)
    weights = sum(m.weight.numel() for m in made.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert weights == 134_822_368
    assert round(weights * 4 / 1e6) == 539


# ------------------------------------------------------------------------------------------------ structure


@pytest.mark.parametrize("model", TABLE_MODELS)
def test_the_encoder_takes_vgg16_weights_and_dropout_stands_after_fc6_and_fc7(model: type[nn.Module]) -> None:
    with torch.device("meta"):
        made = model(2)
    assert isinstance(made.encoder, PoolingEncoder)
    dropout = {key: m.p for key, m in made.named_modules() if isinstance(m, nn.Dropout) and m.p > 0}
    assert dropout == {"fc.dropout6": 0.5, "fc.dropout7": 0.5}


def test_the_three_strides_begin_as_fcn_32s_up_to_how_they_interpolate(learnt: nn.Module) -> None:
    image = torch.zeros(1, 3, 64, 96)  # constant but for the border's padding; scores vary, so compare their corners
    with torch.no_grad():
        features, maps = learnt.encoder(learnt.normalisation(image))
        score = learnt.classifier(learnt.fc(features))
        logits = learnt(image)
        assert not learnt.score_pool4(maps[4]).any()
        assert not learnt.score_pool3(maps[3]).any()
    assert {number: tuple(kept.shape[1:]) for number, kept in maps.items()} == {3: (256, 8, 12), 4: (512, 4, 6)}
    assert tuple(score.shape) == (1, 3, 2, 3)
    # at the middle of four score cells every bilinear way gives nearly their mean: the innermost sample stands 1/64 off
    middle = score[0, :, :2, :2].mean((1, 2))
    got = logits[0, :, 31:33, 31:33].mean((1, 2))
    torch.testing.assert_close(got, middle, rtol=1e-3, atol=1e-3 * score.abs().max().item())


def test_skips_are_added_at_their_own_size(learnt: nn.Module) -> None:
    image = random_image(33, 47)
    with torch.no_grad():
        features, maps = learnt.encoder(learnt.normalisation(image))
        before = learnt(image)
        learnt.score_pool3.bias[1] = 2.0
        after = learnt(image)
        learnt.score_pool3.bias.zero_()
    assert tuple(features.shape[2:]) == (2, 2)
    assert [tuple(maps[number].shape[2:]) for number in (3, 4)] == [(5, 6), (3, 3)]
    changed = (after - before)[0]
    assert not changed[[0, 2]].any()
    # 2 everywhere but where the deconvolution meets the zeros beyond the map: 8 * 5 > 33 rows, 8 * 6 > 47 columns
    torch.testing.assert_close(changed[1, 4:32, 4:40], torch.full((28, 36), 2.0))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47)])
def test_any_size(learnt: nn.Module, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = learnt(random_image(*size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()


def test_the_fixed_models_differ_by_their_strides_only() -> None:
    keys = []
    for model in TABLE_MODELS:
        with torch.device("meta"):
            keys.append(set(model(2).state_dict()))
    assert [sorted(after - before) for before, after in pairwise(keys)] == [
        ["score_pool4.bias", "score_pool4.weight"],
        ["score_pool3.bias", "score_pool3.weight"],
        ["upsample_image.weight", "upsample_pool3.weight", "upsample_pool4.weight"],
    ]
