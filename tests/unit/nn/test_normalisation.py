from typing import get_args

import numpy as np
import pytest
import torch
from torch import fx, nn

from segnet.errors import ConfigError
from segnet.nn.normalisation import (
    CaffeBGR,
    ChannelStatistics,
    CrossChannelLRN,
    LocalContrast,
    MeanStd,
    Normalisation,
    create_normalisation,
    normalisation_of,
)

NORMALISATIONS = get_args(Normalisation)
# A handful of float32 operations against the same in float64: some units of 2 ** -24.
FLOAT32 = {"rtol": 1e-5, "atol": 1e-6}


def random_image(height: int = 7, width: int = 9, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(3))


def close(ours: torch.Tensor, expected: np.ndarray, **tolerance: float) -> None:
    np.testing.assert_allclose(ours.numpy(), expected, **(FLOAT32 | tolerance))


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
    assert CaffeBGR("raw_bgr")(red).flatten().tolist() == [0, 0, 255]


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
    assert create_normalisation(name).to(dtype).name == name


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_normalisation_made_in_float64_knows_its_name(name: Normalisation) -> None:
    single = create_normalisation(name)
    torch.set_default_dtype(torch.float64)
    try:
        assert create_normalisation(name).name == single.name == name
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
        assert model.name == name
        seen = model(image)
    assert torch.equal(seen, model(image))


def test_another_module_has_no_name() -> None:
    with pytest.raises(ConfigError, match="NoneType, which is not an input normalisation"):
        normalisation_of(nn.Sequential(nn.Identity()))
    model = nn.Module()
    model.normalisation = nn.Identity()
    with pytest.raises(ConfigError, match="Identity, which is not an input normalisation"):
        normalisation_of(model)


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="unknown input normalisation 'caffe_rgb'; did you mean 'caffe_bgr'"):
        create_normalisation("caffe_rgb")  # type: ignore[arg-type]


def test_other_channels_use_the_statistics_that_are_given() -> None:
    image = torch.rand(2, 6, 4, 5)
    statistics = ChannelStatistics((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.5, 0.4, 0.3, 0.2, 0.1, 0.05))
    model = create_normalisation("mean_std", 6, statistics)
    mean, std = (np.array(v)[:, None, None] for v in (statistics.mean, statistics.std))
    close(model(image), (image.double().numpy() - mean) / std)
    assert set(model.state_dict()) == {"mean", "std"}  # so checkpoints and weights carry them
    other = create_normalisation("mean_std", 6)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(image), model(image))


def test_channels_without_statistics_map_0_and_1_to_minus_2_and_2() -> None:
    image = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    assert create_normalisation("mean_std", 2)(image).flatten().tolist() == [-2.0, 2.0]


def test_statistics_of_rgb_replace_imagenets() -> None:
    statistics = ChannelStatistics((0.5, 0.5, 0.5), (0.5, 0.25, 0.125))
    model = create_normalisation("mean_std", 3, statistics)
    assert isinstance(model, MeanStd)
    assert model.statistics == statistics
    assert MeanStd().statistics is None


def test_local_contrast_of_any_number_of_channels() -> None:
    assert create_normalisation("lcn", 6)(torch.full((1, 6, 9, 9), 0.3)).abs().max() <= 0.005
    assert create_normalisation("lcn", 1)(random_image()[:, :1]).shape == (2, 1, 7, 9)


@pytest.mark.parametrize("name", ["caffe_bgr", "raw_bgr", "lrn"])
def test_a_normalisation_of_rgb_refuses_other_channels(name: Normalisation) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is for RGB images, and the model has 6 channels; use 'mean_std'"):
        create_normalisation(name, 6)


def test_statistics_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 means and 1 deviations"):
        ChannelStatistics((0.5, 0.5), (0.1,))
    with pytest.raises(ConfigError, match="expected values above 0"):
        ChannelStatistics((0.5,), (0.0,))
    with pytest.raises(ConfigError, match="statistics of 1 channels for a model of 6"):
        create_normalisation("mean_std", 6, ChannelStatistics((0.5,), (0.1,)))
    with pytest.raises(ConfigError, match="'lcn' has no channel statistics"):
        create_normalisation("lcn", 1, ChannelStatistics((0.5,), (0.1,)))
    with pytest.raises(ConfigError, match="in_channels 0: expected at least 1"):
        create_normalisation("lcn", 0)
