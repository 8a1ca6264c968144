from typing import get_args

import numpy as np
import pytest
import torch
from torch import fx, nn

from segnet.errors import ConfigError
from segnet.nn.layers import (
    CaffeBGR,
    ConvBN,
    CrossChannelLRN,
    LocalContrast,
    MeanStd,
    Normalisation,
    create_normalisation,
    init_he,
    normalisation_name,
)

NORMALISATIONS = get_args(Normalisation)
# A handful of float32 operations against the same in float64: some units of 2 ** -24.
FLOAT32 = {"rtol": 1e-5, "atol": 1e-6}


def random_image(height: int = 7, width: int = 9, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(3))


def close(ours: torch.Tensor, expected: np.ndarray, **tolerance: float) -> None:
    np.testing.assert_allclose(ours.numpy(), expected, **(FLOAT32 | tolerance))


# ------------------------------------------------------------------------------------------------ normalisations


def test_mean_std() -> None:
    image = random_image()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (image.double().numpy() - mean[:, None, None]) / std[:, None, None]
    close(MeanStd()(image), expected)


@pytest.mark.parametrize(("name", "mean_bgr"), [("caffe_bgr", (103.939, 116.779, 123.68)), ("raw_bgr", (0, 0, 0))])
def test_bgr_in_units_of_bytes(name: Normalisation, mean_bgr: tuple[float, float, float]) -> None:
    image = random_image()
    red, green, blue = np.moveaxis(image.double().numpy(), 1, 0) * 255
    expected = np.stack([blue - mean_bgr[0], green - mean_bgr[1], red - mean_bgr[2]], axis=1)
    close(create_normalisation(name)(image), expected, atol=1e-4)  # bytes up to 255 in float32: 2 ** -16


def test_a_red_pixel_is_the_last_channel_of_bgr() -> None:
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert CaffeBGR((0.0, 0.0, 0.0))(red).flatten().tolist() == [0, 0, 255]


def test_lrn_by_its_formula_and_by_torch() -> None:
    image = random_image()
    bgr = image.double().numpy()[:, ::-1] * 255
    expected = bgr / (1 + 2e-5 * (bgr**2).sum(1, keepdims=True)) ** 0.75
    close(CrossChannelLRN()(image), expected, atol=1e-4)
    torchs = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(image.flip(1) * 255)
    torch.testing.assert_close(CrossChannelLRN()(image), torchs, rtol=1e-5, atol=1e-4)


def slow_local_contrast(image: np.ndarray, window_px: int = 9, sigma_px: float = 1.591) -> np.ndarray:
    """Jarrett's formula for one image (3, H, W), pixel by pixel."""
    _, height, width = image.shape
    radius = window_px // 2

    def mean_around(values: np.ndarray, row: int, column: int) -> float:
        total = weight = 0.0
        for y in range(max(row - radius, 0), min(row + radius + 1, height)):
            for x in range(max(column - radius, 0), min(column + radius + 1, width)):
                w = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma_px**2))
                total += w * values[:, y, x].mean()
                weight += w
        return total / weight

    centred, deviation = np.zeros_like(image), np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        centred[:, row, column] = image[:, row, column] - mean_around(image, row, column)
    for row, column in np.ndindex(height, width):
        deviation[row, column] = np.sqrt(mean_around(centred**2, row, column))
    return centred / np.maximum(deviation, deviation.mean())


@pytest.mark.parametrize("size", [(12, 14), (3, 20), (9, 9)])
def test_local_contrast_against_a_loop(size: tuple[int, int]) -> None:
    image = random_image(*size)
    expected = np.stack([slow_local_contrast(one) for one in image.double().numpy()])
    # sums of 81 weights, a square root and a quotient of differences near 0 in float32
    close(LocalContrast()(image), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (4, 4), (24, 31)])
@pytest.mark.parametrize("grey", [0.0, 0.37, 1.0])
def test_local_contrast_of_a_constant_image_is_zero_everywhere(size: tuple[int, int], grey: float) -> None:
    # rounding of the mean, 2 ** -23, is divided by the smallest deviation the layer divides by, 1e-4
    assert LocalContrast()(torch.full((1, 3, *size), grey)).abs().max() <= 0.005


def test_local_contrast_ignores_light_and_contrast() -> None:
    image = random_image(20, 24)
    torch.testing.assert_close(LocalContrast()(image * 0.5 + 0.25), LocalContrast()(image), rtol=1e-3, atol=1e-4)


def test_local_contrast_of_an_image_does_not_depend_on_its_batch() -> None:
    image = random_image(8, 8)
    image[1] *= 0.01
    torch.testing.assert_close(LocalContrast()(image)[:1], LocalContrast()(image[:1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 8), (5, 1), (7, 13)])
def test_size_type_and_input_are_kept(name: Normalisation, size: tuple[int, int]) -> None:
    image = random_image(*size)
    before = image.clone()
    for dtype in (torch.float32, torch.float64):
        normalised = create_normalisation(name).to(dtype)(image.to(dtype))
        assert normalised.shape == image.shape
        assert normalised.dtype == dtype
        assert normalised.isfinite().all()
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_autocast_changes_nothing(name: Normalisation) -> None:
    image = torch.rand(2, 3, 24, 31) * 0.1 + 0.7
    model = create_normalisation(name)
    with torch.autocast("cpu", torch.bfloat16):
        seen = model(image)
    assert torch.equal(seen, model(image))


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_nothing_of_a_normalisation_stands_in_the_weights(name: Normalisation) -> None:
    assert not create_normalisation(name).state_dict()


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_normalisation_knows_its_name(name: Normalisation, dtype: torch.dtype) -> None:
    assert normalisation_name(create_normalisation(name).to(dtype)) == name


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_normalisation_made_in_float64_knows_its_name(name: Normalisation) -> None:
    single = create_normalisation(name)
    torch.set_default_dtype(torch.float64)
    try:
        assert normalisation_name(create_normalisation(name)) == normalisation_name(single) == name
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_normalisation_can_be_traced(name: Normalisation) -> None:
    model, image = create_normalisation(name), random_image()
    assert torch.equal(fx.symbolic_trace(model)(image), model(image))


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_default_device_changes_nothing(name: Normalisation) -> None:
    image = random_image()
    with torch.device("meta"):
        model = create_normalisation(name)
        assert normalisation_name(model) == name
        seen = model(image)
    assert torch.equal(seen, model(image))


def test_another_module_has_no_name() -> None:
    with pytest.raises(ConfigError, match="Identity is not an input normalisation"):
        normalisation_name(nn.Identity())


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="unknown input normalisation 'caffe_rgb'; did you mean 'caffe_bgr'"):
        create_normalisation("caffe_rgb")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ convolutions


@pytest.mark.parametrize("kernel_px", [1, 3, 7])
def test_conv_bn_keeps_the_size_and_has_no_bias(kernel_px: int) -> None:
    layer = ConvBN(3, 4, kernel_px).eval()
    assert layer.conv.bias is None
    for size in ((1, 1), (2, 9)):
        assert layer(random_image(*size)).shape == (2, 4, *size)
    assert layer(random_image()).min() == 0
    assert ConvBN(3, 4, kernel_px, relu=False).eval()(random_image()).min() < 0


def test_conv_bn_by_hand() -> None:
    layer = ConvBN(1, 1, 3).eval()
    nn.init.constant_(layer.conv.weight, 1.0)
    layer.norm.running_mean.fill_(4.0)
    layer.norm.running_var.fill_(4.0 - layer.norm.eps)
    nn.init.constant_(layer.norm.weight, 3.0)
    nn.init.constant_(layer.norm.bias, 1.0)
    # sums of ones over the window clipped at the border: 4 at corners, 6 at edges, 9 inside; (sum - 4) / 2 * 3 + 1
    expected = [[1.0, 4.0, 1.0], [4.0, 8.5, 4.0], [1.0, 4.0, 1.0]]
    np.testing.assert_allclose(layer(torch.ones(1, 1, 3, 3))[0, 0].detach().numpy(), expected, rtol=1e-6)


def test_he_initialisation() -> None:
    model = nn.Sequential(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Conv2d(128, 32, 7, bias=False))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 5.0)
    init_he(model)
    first, norm, last = model
    # the deviation of n draws is known to about 1 / sqrt(2 n): 0.26 % for 73,728 draws; four of those
    assert first.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.011)
    assert last.weight.std().item() == pytest.approx((2 / (128 * 49)) ** 0.5, rel=0.011)
    assert abs(first.weight.mean().item()) < 4 * (2 / (64 * 9)) ** 0.5 / 73_728**0.5
    assert not first.bias.any()
    assert bool((norm.weight == 1).all())
    assert not norm.bias.any()
