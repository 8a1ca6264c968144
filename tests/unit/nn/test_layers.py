import numpy as np
import pytest
import torch
from torch import nn

from segnet.nn.layers import ConvBN, init_he


def random_image(height: int = 7, width: int = 9, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(3))


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
