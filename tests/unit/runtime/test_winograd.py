"""Winograd's convolution against PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trained_models import random_images, trained

from segnet.runtime import winograd
from segnet.runtime.fold import folded
from segnet.runtime.precision import in_precision
from segnet.runtime.winograd import Winograd, with_winograd


@pytest.mark.parametrize("tile_px", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (9, 15), (30, 7)], ids=str)
@pytest.mark.parametrize("rows", [0, 1])
def test_equal_to_conv2d_in_float64(
    tile_px: int, size: tuple[int, int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    padding = (max(rows, 3 - size[0]), 1)  # one row of output at least
    monkeypatch.setattr(winograd, "_BAND_VALUES", 2**10)  # several bands
    torch.manual_seed(0)
    convolution = nn.Conv2d(5, 7, 3, padding=1).double()
    features = torch.randn(2, 5, *size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = F.conv2d(features, convolution.weight, convolution.bias, 1, padding)
        torch.testing.assert_close(
            Winograd(convolution, tile_px).padded(features, padding), expected, rtol=0, atol=1e-12
        )


@pytest.mark.parametrize(
    ("dtype", "tile_px", "error"), [(torch.float32, 4, 4e-6), (torch.bfloat16, 2, 0.012), (torch.bfloat16, 4, 0.06)]
)
def test_rounding_of_each_precision(dtype: torch.dtype, tile_px: int, error: float) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(256, 256, 3, padding=1)
    features = torch.randn(1, 256, 12, 12).relu()
    with torch.no_grad():
        expected = convolution(features)
        made = Winograd(convolution.to(dtype), tile_px)(features.to(dtype)).float()
    away = ((made - expected).std() / expected.std()).item()
    assert error / 10 < away < error  # of the plain sum: 6e-7 and 0.003


def test_only_convolutions_that_gain_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    model_name = in_precision(folded(trained("segnet")), torch.float32)
    chosen = [
        name
        for name, module in with_winograd(model_name, torch.float32).named_modules()
        if isinstance(module, Winograd)
    ]
    assert len(chosen) == 18
    assert chosen[0] == "encoder.stage3.0.conv"
    for by_vectors, count in ((True, 18), (False, 0)):
        monkeypatch.setattr(winograd, "_multiplies_bfloat16_by_vectors", lambda found=by_vectors: found)
        model_name = with_winograd(in_precision(folded(trained("segnet")), torch.bfloat16), torch.bfloat16)
        assert sum(isinstance(module, Winograd) for module in model_name.modules()) == count
    model_name = with_winograd(in_precision(folded(trained("segnet-basic")), torch.float32), torch.float32)
    assert not any(isinstance(module, Winograd) for module in model_name.modules())


def test_a_whole_model_keeps_its_logits() -> None:
    model = trained("segnet")
    model_name = with_winograd(in_precision(folded(model), torch.float32), torch.float32)
    image = random_images(1, 3, 41, 60)
    with torch.no_grad():
        expected = model(image)
        torch.testing.assert_close(model_name(image), expected, rtol=0, atol=1e-4 * expected.abs().max().item())
