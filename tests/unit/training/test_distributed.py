import socket

import pytest
import torch
import torch.distributed as dist
from torch import nn

from segnet.errors import SegNetError
from segnet.training.distributed import ALONE, Processes, join_processes


def test_alone_everything_is_its_own() -> None:
    values = torch.tensor([1.0, 2.0])
    total = ALONE.sum(values)
    assert total.tolist() == [1, 2]
    assert total.data_ptr() != values.data_ptr()
    assert ALONE.gather(values).tolist() == [[1, 2]]
    assert ALONE.names(("a", "b")) == ("a", "b")
    assert (ALONE.any(True), ALONE.any(False)) == (True, False)
    assert ALONE.is_first


def test_gradients_are_summed_whatever_their_memory_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "all_reduce", lambda total: total.mul_(2))  # the other process has the same
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 5)).to(memory_format=torch.channels_last)
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter)
    before = [p.grad.clone() for p in model.parameters()]
    Processes(0, 2).sum_gradients(model)
    assert all(torch.equal(p.grad, 2 * old) for p, old in zip(model.parameters(), before, strict=True))


def test_a_process_that_ended_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(dist, "all_reduce", broken)
    with pytest.raises(SegNetError, match="another of the 3 processes ended; its own message says why"):
        Processes(0, 3).any(False)


def test_without_a_launcher_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_processes() as processes:
        assert processes == Processes(0, 1)
        assert not dist.is_initialized()


def test_half_of_what_a_launcher_says_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SegNetError, match="the processes did not meet"), join_processes():
        pass


def test_a_launcher_says_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    with join_processes() as processes:
        assert processes == Processes(0, 1)
        assert dist.is_initialized()
    assert not dist.is_initialized()
