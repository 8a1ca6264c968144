import pytest
import torch
import torch.distributed as dist
from torch import nn

from segnet.device import DeviceSpec
from segnet.errors import NonFiniteError
from segnet.training.distributed import Processes
from segnet.training.loss_scale import loss_scaler, take_step

FLOAT16, FLOAT32 = (DeviceSpec(torch.device("cpu"), name) for name in ("float16", "float32"))  # type: ignore[arg-type]


def learner() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model of one weight, 1, whose gradient is the image's only value; learning rate 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    return model, torch.optim.SGD(model.parameters(), lr=1.0)


def where() -> str:
    return "at step 3 on a.png, b.png"


def backward(model: nn.Module, scaler: torch.amp.GradScaler, gradient: float) -> None:
    model.zero_grad()
    scaler.scale(model(torch.tensor([[gradient]])).sum()).backward()


def test_gradients_are_scaled_for_float16_and_back_before_the_step() -> None:
    model, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(model, scaler, 0.25)
    assert model.weight.grad.item() == 0.25 * 65536
    assert take_step(scaler, optimiser, where)
    assert model.weight.item() == 0.75


def test_float32_is_not_scaled_and_takes_every_step() -> None:
    model, optimiser = learner()
    scaler = loss_scaler(FLOAT32)
    backward(model, scaler, 0.25)
    assert model.weight.grad.item() == 0.25
    assert take_step(scaler, optimiser, where)
    assert model.weight.item() == 0.75
    assert scaler.state_dict() == {}


def test_an_overflow_leaves_the_step_out_and_halves_the_factor() -> None:
    model, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(model, scaler, float("inf"))
    assert not take_step(scaler, optimiser, where)
    assert (model.weight.item(), scaler.get_scale()) == (1, 32768)
    backward(model, scaler, 0.25)
    assert take_step(scaler, optimiser, where)
    assert model.weight.item() == 0.75


@pytest.mark.parametrize("other", [float("inf"), float("-inf"), float("nan")])
def test_an_overflow_in_another_process_leaves_the_step_out_here(other: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "all_reduce", lambda total: total.add_(other))
    model, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(model, scaler, 0.25)
    model.weight.grad = Processes(0, 2).sum(model.weight.grad)
    assert not take_step(scaler, optimiser, where)
    assert (model.weight.item(), scaler.get_scale()) == (1, 32768)


def test_gradients_that_always_overflow_end_the_run() -> None:
    model, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    for _ in range(16):
        backward(model, scaler, float("inf"))
        assert not take_step(scaler, optimiser, where)
    backward(model, scaler, float("inf"))
    with pytest.raises(NonFiniteError, match=r"overflow float16 at step 3 on a\.png, b\.png.*bfloat16 or float32"):
        take_step(scaler, optimiser, where)
    assert model.weight.item() == 1
