"""What is alive at the peak of a forward pass, against arithmetic by hand."""

import torch
from torch import Tensor, nn

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.peak_tensors import bytes_by_kind, tensors_at_peak, weight_bytes
from segnet.pooling import max_pool, max_unpool


class PoolAndBack(nn.Module):
    """A convolution to 4 channels, pooled and unpooled."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        pooled, indices = max_pool(self.conv(image))
        return max_unpool(pooled, indices)


IMAGE = torch.rand(1, 1, 16, 16)


def test_the_tensors_add_up_to_the_peak() -> None:
    model = PoolAndBack().eval()
    with torch.inference_mode():
        model(IMAGE)
        tensors = tensors_at_peak(model, lambda: model(IMAGE))
        peak = peak_live_bytes(lambda: model(IMAGE))
    assert sum(t.num_bytes for t in tensors) == peak
    assert [t.num_bytes for t in tensors] == sorted((t.num_bytes for t in tensors), reverse=True)


def test_a_convolution_is_named_with_its_module_and_shape() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    with torch.inference_mode():
        tensors = tensors_at_peak(model, lambda: model(IMAGE))
    conv = next(t for t in tensors if t.operator == "aten.conv2d")
    assert (conv.module, conv.shape, conv.num_bytes) == ("0", (1, 4, 16, 16), 4 * 16 * 16 * 4)
    assert str(conv) == "0.0 MB float32 1x4x16x16 in 0 (aten.conv2d)"
    assert bytes_by_kind(tensors) == {"maps": 2 * 4 * 16 * 16 * 4, "indices": 0, "weight copies": 0}


def test_indices_that_wait_for_the_decoder_are_counted_apart() -> None:
    model = PoolAndBack().eval()
    with torch.inference_mode():
        tensors = tensors_at_peak(model, lambda: model(IMAGE))
    assert bytes_by_kind(tensors)["indices"] >= 4 * 8 * 8 // 4  # 2 bits for each of 4x8x8 windows
    assert not any(t.dtype.startswith("float") for t in tensors if t.kind == "indices")


def test_a_cast_of_the_weights_is_told_from_maps() -> None:
    model = nn.Sequential(nn.Linear(64, 64, bias=False))

    def run() -> None:
        with torch.inference_mode():
            half = model[0].weight.to(torch.bfloat16)
            (torch.ones(1, 64, dtype=torch.bfloat16) @ half).sum()

    assert bytes_by_kind(tensors_at_peak(model, run))["weight copies"] == 64 * 64 * 2


def test_the_weights_count_once() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8))
    assert weight_bytes(model) == 8 * 8 * 4 + 4 * 8 * 4 + 8
    shared = nn.Linear(8, 8, bias=False)
    assert weight_bytes(nn.Sequential(shared, shared)) == 8 * 8 * 4
