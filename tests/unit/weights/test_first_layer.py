import pytest
import torch

from segnet.errors import WeightsError
from segnet.weights.first_layer import as_mean_std, carry_channels


def filters(channels: int = 3) -> torch.Tensor:
    return torch.arange(2.0 * channels * 9).view(2, channels, 3, 3)


def test_one_channel_gets_the_sum() -> None:
    assert torch.equal(carry_channels(filters(), 1), filters().sum(1, keepdim=True))


@pytest.mark.parametrize("channels", [2, 3, 4, 7])
def test_filters_are_repeated_and_scaled(channels: int) -> None:
    carried = carry_channels(filters(), channels)
    assert carried.shape == (2, channels, 3, 3)
    for channel in range(channels):
        torch.testing.assert_close(carried[:, channel], filters()[:, channel % 3] * 3 / channels)


def test_a_grey_image_gives_the_same_output_with_more_channels() -> None:
    grey = torch.rand(1, 1, 5, 5)
    expected = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), filters())
    for channels in (1, 6, 9):
        carried = carry_channels(filters(), channels)
        torch.testing.assert_close(torch.nn.functional.conv2d(grey.expand(-1, channels, -1, -1), carried), expected)


@pytest.mark.parametrize("normalisation", ["caffe_bgr", "raw_bgr"])
def test_bgr_filters_give_the_same_output_up_to_a_constant(normalisation: str) -> None:
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    image = torch.rand(1, 3, 6, 6)
    ours = torch.nn.functional.conv2d(image / std, as_mean_std(filters(), normalisation))  # type: ignore[arg-type]
    theirs = torch.nn.functional.conv2d(image.flip(1) * 255, filters())
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0.5)  # of sums up to 60,000 in float32


def test_what_is_not_affine_is_refused() -> None:
    assert as_mean_std(filters(), "mean_std") is not None
    for name in ("lrn", "lcn"):
        with pytest.raises(WeightsError, match=f"'{name}' cannot be carried over"):
            as_mean_std(filters(), name)  # type: ignore[arg-type]
