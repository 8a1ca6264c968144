"""Pooling with packed indices against a plain loop, and against torch's own pair, to the last bit."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segnet import pooling
from segnet.pooling import max_pool, max_unpool

SIZES = [(1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 7), (7, 4), (6, 6), (23, 30)]


@pytest.fixture(params=["native", "plain"], autouse=True)
def formulation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs every test once with PyTorch's CPU kernels and once with the operations that other devices use."""
    if request.param == "plain":
        monkeypatch.setattr(pooling, "_native", lambda tensor: False)
    return str(request.param)


def loop_pool(image: Tensor) -> tuple[Tensor, Tensor]:
    """Window by window: values and flat indices, (N, C, h, w)."""
    batch, channels, height, width = image.shape
    pooled = torch.zeros(batch, channels, -(-height // 2), -(-width // 2), dtype=image.dtype)
    flat = torch.zeros(pooled.shape, dtype=torch.int64)
    for n, c, row, column in torch.ones(pooled.shape).nonzero().tolist():
        positions = [
            (y, x) for y in (2 * row, 2 * row + 1) for x in (2 * column, 2 * column + 1) if y < height and x < width
        ]
        best = positions[0]
        for y, x in positions:
            value = float(image[n, c, y, x])
            if value > float(image[n, c, *best]) or math.isnan(value):
                best = (y, x)
        pooled[n, c, row, column] = image[n, c, *best]
        flat[n, c, row, column] = best[0] * width + best[1]
    return pooled, flat


def assert_same(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=0, equal_nan=True)


def check(image: Tensor) -> None:
    """Values, positions, unpooled map and gradient: all equal to torch's, bit by bit."""
    size = (image.shape[2], image.shape[3])
    image, own = image.detach().requires_grad_(), image.detach().clone().requires_grad_()
    expected, flat = F.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    restored = F.max_unpool2d(expected, flat, 2, 2, output_size=size)
    pooled, indices = max_pool(own)
    unpooled = max_unpool(pooled, indices)
    assert_same(pooled, expected)
    assert torch.equal(indices.to_flat(), flat)
    assert indices.size == size
    assert unpooled.dtype == image.dtype
    assert_same(unpooled, restored)
    direction = torch.randn(size).to(image.dtype)
    (gradient,) = torch.autograd.grad(unpooled, own, direction.expand_as(unpooled))
    (expected_gradient,) = torch.autograd.grad(restored, image, direction.expand_as(restored))
    assert_same(gradient, expected_gradient)
    with torch.no_grad():
        assert_same(max_unpool(*max_pool(own)), restored)


@pytest.mark.parametrize("size", SIZES[:-1])
def test_against_a_loop(size: tuple[int, int]) -> None:
    image = torch.randint(-2, 3, (2, 3, *size)).float()  # five values only: many ties
    pooled, indices = max_pool(image)
    expected, flat = loop_pool(image)
    assert torch.equal(pooled, expected)
    assert torch.equal(indices.to_flat(), flat)
    restored = torch.zeros(2, 3, size[0] * size[1])
    for n, c, row, column in torch.ones(flat.shape).nonzero().tolist():
        restored[n, c, flat[n, c, row, column]] = expected[n, c, row, column]
    assert torch.equal(max_unpool(pooled, indices), restored.view(2, 3, *size))


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (4, 4)])
def test_nan_against_a_loop(size: tuple[int, int]) -> None:
    image = torch.randn(2, 4, *size)
    image[torch.rand(image.shape) < 0.4] = math.nan
    pooled, indices = max_pool(image)
    expected, flat = loop_pool(image)
    assert_same(pooled, expected)
    assert torch.equal(indices.to_flat(), flat)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_against_torch(size: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format) -> None:
    check(torch.randn(3, 5, *size).to(dtype).contiguous(memory_format=layout))


@pytest.mark.parametrize("size", [(3, 3), (8, 6)])
@pytest.mark.parametrize(
    "fill",
    [
        pytest.param(lambda image: image.abs().neg() - 1, id="all negative"),
        pytest.param(torch.zeros_like, id="all equal"),
        pytest.param(lambda image: image.round(), id="ties"),
        pytest.param(lambda image: image.relu(), id="after a ReLU"),
        pytest.param(lambda image: torch.full_like(image, -math.inf), id="all minus infinity"),
        pytest.param(lambda image: image.masked_fill(image > 0.5, math.inf), id="infinities"),
        pytest.param(lambda image: image.masked_fill(image > 0, math.nan), id="many NaN"),
        pytest.param(lambda image: torch.full_like(image, math.nan), id="all NaN"),
    ],
)
def test_against_torch_on_hard_values(fill: object, size: tuple[int, int]) -> None:
    assert callable(fill)
    check(fill(torch.randn(2, 6, *size)))


def test_maps_that_are_views() -> None:
    check(torch.randn(2, 12, 10, 9)[:, 2:9, 1:, ::2])
    check(torch.randn(9, 10, 5, 2).permute(3, 2, 0, 1))


def test_an_empty_batch() -> None:
    check(torch.randn(0, 3, 5, 4))
