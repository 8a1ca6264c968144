import pytest
import torch
import torch.distributed as dist
from torch import nn

from segnet.engine.device import Place
from segnet.engine.loss_scale import loss_scaler, take_step
from segnet.engine.processes import Processes
from segnet.errors import NonFiniteError

FLOAT16, FLOAT32 = (Place(torch.device("cpu"), name) for name in ("float16", "float32"))  # type: ignore[arg-type]


def learner() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A net of one weight, 1, whose gradient is the picture's only value; learning rate 1."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    return net, torch.optim.SGD(net.parameters(), lr=1.0)


def where() -> str:
    return "at step 3 on a.png, b.png"


def backward(net: nn.Module, scaler: torch.amp.GradScaler, gradient: float) -> None:
    net.zero_grad()
    scaler.scale(net(torch.tensor([[gradient]])).sum()).backward()


def test_gradients_are_scaled_for_float16_and_back_before_the_step() -> None:
    net, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(net, scaler, 0.25)
    assert net.weight.grad.item() == 0.25 * 65536
    assert take_step(scaler, optimiser, where)
    assert net.weight.item() == 0.75


def test_float32_is_not_scaled_and_takes_every_step() -> None:
    net, optimiser = learner()
    scaler = loss_scaler(FLOAT32)
    backward(net, scaler, 0.25)
    assert net.weight.grad.item() == 0.25
    assert take_step(scaler, optimiser, where)
    assert net.weight.item() == 0.75
    assert scaler.state_dict() == {}


def test_an_overflow_leaves_the_step_out_and_halves_the_factor() -> None:
    net, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(net, scaler, float("inf"))
    assert not take_step(scaler, optimiser, where)
    assert (net.weight.item(), scaler.get_scale()) == (1, 32768)
    backward(net, scaler, 0.25)
    assert take_step(scaler, optimiser, where)
    assert net.weight.item() == 0.75


@pytest.mark.parametrize("other", [float("inf"), float("-inf"), float("nan")])
def test_an_overflow_in_another_process_leaves_the_step_out_here(other: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "all_reduce", lambda total: total.add_(other))
    net, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    backward(net, scaler, 0.25)
    Processes(0, 2).sum_gradients(net)
    assert not take_step(scaler, optimiser, where)
    assert (net.weight.item(), scaler.get_scale()) == (1, 32768)


def test_gradients_that_always_overflow_end_the_run() -> None:
    net, optimiser = learner()
    scaler = loss_scaler(FLOAT16)
    for _ in range(16):
        backward(net, scaler, float("inf"))
        assert not take_step(scaler, optimiser, where)
    backward(net, scaler, float("inf"))
    with pytest.raises(NonFiniteError, match=r"overflow float16 at step 3 on a\.png, b\.png.*bfloat16 or float32"):
        take_step(scaler, optimiser, where)
    assert net.weight.item() == 1
