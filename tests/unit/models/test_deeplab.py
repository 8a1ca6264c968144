"""DeepLab-LargeFOV: the sizes of the paper's benchmark, its parameters, what it sees, and where its scores stand."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from segnet.models.deeplab import DeepLabLargeFOV, DilatedEncoder, enlarge_8
from segnet.models.vgg import VGG16_STAGES
from segnet.weights.vgg16 import load_vgg16

WIDTHS = [width for widths in VGG16_STAGES for width in widths]
NAMES = [f"conv{s}_{i}" for s, widths in enumerate(VGG16_STAGES, 1) for i in range(1, len(widths) + 1)]


@pytest.fixture(scope="module")
def model() -> DeepLabLargeFOV:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DeepLabLargeFOV(11).eval()


def test_the_output_before_enlarging_is_an_eighth() -> None:
    encoder = DilatedEncoder(3)
    for module in encoder.modules():  # only sizes matter here: leave out the work
        if isinstance(module, nn.Conv2d):
            module.forward = lambda image, conv=module: image[:, :1].expand(-1, conv.out_channels, -1, -1)  # type: ignore[method-assign]
    sizes = [(360, 480), (1, 1), (7, 9), (8, 16), (17, 33)]
    with torch.no_grad():
        got = [tuple(encoder.eval()(torch.zeros(1, 3, *size)).shape[2:]) for size in sizes]
    assert got == [(45, 60), (1, 1), (1, 2), (1, 2), (3, 5)]


def test_parameters_and_the_papers_83_mb(model: DeepLabLargeFOV) -> None:
    convolutions = 14_710_464 + 512 * 1024 * 9 + 1024 * 1024 + 1024 * 11 + 11
    norms = 2 * (4_224 + 2 * 1_024)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == convolutions + norms == 20_501_451
    assert count * 4 / 1e6 == pytest.approx(83, rel=0.015)  # 82.0; what makes the printed 83 is not said


def test_holes_and_strides(model: DeepLabLargeFOV) -> None:
    rates = {key: module.dilation[0] for key, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    assert {key for key, rate in rates.items() if rate == 2} == {f"encoder.stage5.{i}.conv" for i in range(3)}
    assert {key for key, rate in rates.items() if rate > 2} == {"fc6.conv"}
    assert rates["fc6.conv"] == 12
    pools = [module.stride for module in model.modules() if isinstance(module, nn.MaxPool2d)]
    assert pools == [2, 2, 2, 1, 1]
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]


def test_a_score_sees_its_field_and_stands_in_its_middle(model: DeepLabLargeFOV) -> None:
    """Scores of a strip: the gradient of one reaches as far as kernels, holes and strides say, evenly to both sides.

    Radius in pixels, layer by layer (radius times distance of the taps): stage 1: 1 + 1, pool 1; 2: 2 + 2, pool 2;
    3: 3 x 4, pool 4; 4: 3 x 8, pool 8; 5: 3 x 16, pool 8; smoothing 8, fc6 96.
    """
    radius = 2 + 1 + 4 + 2 + 12 + 4 + 24 + 8 + 48 + 8 + 8 + 96
    with torch.random.fork_rng():
        torch.manual_seed(1)
        copied = copy.deepcopy(model).double()
    centre = 8 * 30
    image = torch.rand(1, 3, 1, 2 * centre + 1, dtype=torch.float64, requires_grad=True)
    features = copied.fc6(copied.smooth(copied.encoder(copied.normalisation(image))))
    features[0, :, 0, 30].sum().backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum((0, 1)).nonzero().flatten()
    # maxima pick one pixel of a window, so the very last ones may be left out
    assert centre - radius <= touched.min() <= centre - radius + 24
    assert centre + radius - 24 <= touched.max() <= centre + radius


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (33, 47)])
def test_any_size_gives_logits_of_that_size(model: DeepLabLargeFOV, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = model(torch.rand(2, 3, *size))
    assert logits.shape == (2, 11, *size)


def test_enlarging_puts_scores_back_where_they_were_taken() -> None:
    scores = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for size in [(25, 33), (32, 40), (29, 34)]:
        enlarged = enlarge_8(scores, size)
        assert enlarged.shape == (2, 3, *size)
        torch.testing.assert_close(enlarged[:, :, ::8, ::8], scores)
        # halfway stands the mean, and beyond the last score the last score
        torch.testing.assert_close(enlarged[:, :, 4:24:8, ::8], (scores[:, :, :-1] + scores[:, :, 1:]) / 2)
        torch.testing.assert_close(enlarged[:, :, 24:, 32], scores[:, :, 3:, 4].expand(-1, -1, size[0] - 24))


def test_vgg16_weights_go_into_the_encoder(model: DeepLabLargeFOV, tmp_path: Path) -> None:
    """In eval mode the encoder then is VGG16 with DeepLab's poolings and holes, written out with functions only."""
    generator = torch.Generator().manual_seed(3)
    tensors, channels = {}, 3
    for name, width in zip(NAMES, WIDTHS, strict=True):
        tensors[f"{name}.weight"] = (
            torch.randn(width, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5
        )
        tensors[f"{name}.bias"] = 0.3 * torch.randn(width, generator=generator)
        channels = width
    save_file(tensors, tmp_path / "vgg16.safetensors")
    model = copy.deepcopy(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    load_vgg16(model, tmp_path / "vgg16.safetensors")
    changed = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"encoder"}

    image = torch.randn(1, 3, 19, 26, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        got = model.encoder.double()(image)
        expected = _plain_walk(image, tensors)
    assert expected.abs().mean() > 0.01
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()  # float32 rounding of what was folded


def _plain_walk(image: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    for name in NAMES:
        rate = 2 if name.startswith("conv5") else 1
        weight, bias = (tensors[f"{name}.{part}"].double() for part in ("weight", "bias"))
        image = F.relu(F.conv2d(image, weight, bias, padding=rate, dilation=rate))
        if name in ("conv1_2", "conv2_2", "conv3_3"):
            image = F.max_pool2d(image, 3, 2, padding=1)
        elif name in ("conv4_3", "conv5_3"):
            image = F.max_pool2d(image, 3, 1, padding=1)
    return image
