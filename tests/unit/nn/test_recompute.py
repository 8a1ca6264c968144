"""Less is kept in training, and nothing else changes: see also `tests/reference/test_recompute_reference.py`."""

import pytest
import torch
from torch import Tensor, nn

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.models import create_model
from segnet.nn.layers import ConvBN
from segnet.nn.losses import cross_entropy
from segnet.nn.recompute import is_recomputing, recomputing


def random_image(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(*shape, generator=generator).contiguous(memory_format=torch.channels_last)


def test_convolutions_with_bn_keep_one_map_each() -> None:
    layers = nn.Sequential(*(ConvBN(16, 16) for _ in range(8)))
    image = random_image(2, 16, 40, 30)
    one_map = image.numel() * 4
    peaks = {}
    for low_memory in (False, True):

        def forward(low_memory: bool = low_memory) -> Tensor:
            with recomputing(low_memory):
                return layers(image)

        peaks[low_memory] = peak_live_bytes(forward) / one_map
    assert 16 <= peaks[False] < 16.2  # what each convolution gave and what each ReLU gave; some numbers per channel
    assert 10 <= peaks[True] < 10.2  # what each convolution gave; the input and output of the last layer


@pytest.mark.parametrize(("name", "at_most"), [("segnet", 0.95), ("segnet-basic", 0.6)])  # its gradients stay
def test_a_training_step_takes_less_memory(name: str, at_most: float) -> None:
    model = create_model(name, 11).to(memory_format=torch.channels_last).train()
    image, target = random_image(4, 3, 64, 96), torch.zeros(4, 64, 96, dtype=torch.int64)

    def step(low_memory: bool) -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16), recomputing(low_memory):
            logits = model(image)
        cross_entropy(logits, target).backward()

    plain, low = (peak_live_bytes(lambda on=on: step(on)) for on in (False, True))
    assert low < at_most * plain, (low, plain)


def test_memory_is_given_back_while_the_loss_lives() -> None:
    layers = nn.Sequential(*(ConvBN(16, 16) for _ in range(8)))
    image = random_image(2, 16, 40, 30)
    losses = []

    def step() -> None:
        with recomputing():
            losses.append(layers(image).square().mean())
        losses[-1].backward()

    assert peak_live_bytes(step) / (image.numel() * 4) < 13.2  # 8 maps, 5 while the last layer is gone through


def test_it_ends_where_it_ends() -> None:
    assert not is_recomputing()
    with recomputing():
        assert is_recomputing()
        with torch.no_grad():
            assert not is_recomputing()
        with recomputing(False):
            assert is_recomputing()
    assert not is_recomputing()
    with pytest.raises(KeyError), recomputing():
        raise KeyError
    assert not is_recomputing()
    assert torch.is_autocast_cache_enabled()


def test_evaluation_inside_changes_nothing() -> None:
    layer = ConvBN(3, 8).eval()
    with recomputing():
        inside = layer(random_image(1, 3, 8, 9))
    assert torch.equal(inside, layer(random_image(1, 3, 8, 9)))
    assert layer.norm.num_batches_tracked == 0
