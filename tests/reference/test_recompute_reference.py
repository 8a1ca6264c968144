"""Gradients with less memory against those of the plain path and of the naive port."""

import copy

import pytest
import torch
from torch import Tensor, nn

from segnet.benchmark.measure.naive import NaivePort
from segnet.models import create_model
from segnet.nn.losses import cross_entropy
from segnet.nn.recompute import recomputing

TABLE_MODELS = ["segnet", "segnet-basic", "bayesian-segnet-basic", "segnet-basic-encoder-addition", "fcn-basic", "unet"]


def gradients(
    model: nn.Module, size: tuple[int, int], *, low_memory: bool, precision: torch.dtype
) -> dict[str, Tensor]:
    """Of one step on random images, by parameter; with the loss and BN's statistics after the step."""
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, *size, generator=generator)
    target = torch.randint(0, 5, (2, *size), generator=generator)
    model = copy.deepcopy(model).train()
    torch.manual_seed(2)  # of dropout
    enabled = precision == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled), recomputing(low_memory):
        logits = model(image if enabled else image.to(precision))
    loss = nn.functional.cross_entropy(logits, target) if precision == torch.float64 else cross_entropy(logits, target)
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert len(found) == len(list(model.parameters()))
    return found | dict(model.named_buffers()) | {"loss": loss.detach()}


@pytest.mark.parametrize("name", TABLE_MODELS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients_statistics_and_loss_in_float64(name: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    model = create_model(name, 5).double().to(memory_format=layout)  # type: ignore[call-overload]
    size = (33, 47)  # odd at several levels
    plain = gradients(model, size, low_memory=False, precision=torch.float64)
    low = gradients(model, size, low_memory=True, precision=torch.float64)
    assert plain.keys() == low.keys()
    for key, value in plain.items():
        torch.testing.assert_close(low[key], value, rtol=1e-9, atol=1e-11 * value.abs().max().item(), msg=key)


@pytest.mark.parametrize("name", ["segnet-basic", "bayesian-segnet-basic"])
def test_in_bfloat16_they_differ_by_rounding(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 5).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = (34, 45)
    exact = gradients(model, size, low_memory=False, precision=torch.float32)
    plain = gradients(model, size, low_memory=False, precision=torch.bfloat16)
    low = gradients(model, size, low_memory=True, precision=torch.bfloat16)
    assert torch.equal(low["loss"], plain["loss"])  # the forward pass is the same
    for key, value in exact.items():
        if key.startswith("classifier") or "running" in key:
            torch.testing.assert_close(low[key], plain[key], rtol=0.02, atol=0.01 * value.abs().max().item(), msg=key)
    error = {
        kind: torch.cat([(found[key] - exact[key]).flatten() for key in exact if "running" not in key]).norm()
        for kind, found in (("plain", plain), ("low", low))
    }
    assert error["low"] < 1.1 * error["plain"], error


@pytest.mark.parametrize("name", ["segnet", "segnet-basic"])
def test_the_naive_port_is_the_same_model(name: str) -> None:
    torch.manual_seed(0)
    ours = create_model(name, 5).double()
    expected = gradients(NaivePort(ours), (33, 47), low_memory=False, precision=torch.float64)
    found = gradients(ours, (33, 47), low_memory=True, precision=torch.float64)
    for key, value in expected.items():
        own = found[key.removeprefix("source_model.")]
        torch.testing.assert_close(own, value, rtol=1e-8, atol=1e-10 * value.abs().max().item(), msg=key)
