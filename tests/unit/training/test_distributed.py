import socket
import sys

import pytest
import torch
import torch.distributed as dist
from processes import in_processes

from segnet.errors import SegNetError, WeightsError
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


def test_a_process_that_ended_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(dist, "all_reduce", broken)
    with pytest.raises(SegNetError, match="another of the 3 processes ended; its own message says why"):
        Processes(0, 3).any(False)


@pytest.mark.parametrize("message", ["[enforce fail at gloo/pair.cc] timeout", "Connection closed by peer [127.0.0.2]"])
def test_a_transfer_that_breaks_inside_is_one_clear_line(message: str) -> None:
    with pytest.raises(SegNetError, match="another of the 3 processes ended"), Processes(0, 3).transferring():
        raise RuntimeError(message)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), Processes(0, 3).transferring():
        raise RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="gloo"), ALONE.transferring():
        raise RuntimeError("gloo")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a safe fork")
def test_what_one_process_finds_or_fails_at_reaches_all() -> None:
    def fails_in(rank: int, processes: Processes) -> int:
        if processes.rank == rank:
            raise WeightsError(f"broken in {rank}")
        return 10 * processes.rank

    def ask(processes: Processes) -> list[object]:
        answers: list[object] = [processes.each(lambda: 10 * processes.rank), processes.names((str(processes.rank),))]
        answers.append(processes.from_first(lambda: fails_in(1, processes)))
        for failing in (
            lambda: processes.each(lambda: fails_in(1, processes)),
            lambda: processes.from_first(lambda: fails_in(0, processes)),
        ):
            with pytest.raises(WeightsError) as found:
                failing()
            answers.append(str(found.value))
        return answers

    assert in_processes(2, ask) == [[[0, 10], ("0", "1"), 0, "broken in 1", "broken in 0"]] * 2


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
