"""Work in processes: one result for each item, also where processes are killed."""

import os
import signal
from pathlib import Path

import pytest
from pool_work import Squares

from segnet.errors import ConfigError, DataError
from segnet.inference.worker_pool import Lost, run_in_workers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals")


def begun(folder: Path, number: int) -> int:
    """How many processes began this number."""
    return len((folder / str(number)).read_text().split())


@pytest.mark.slow
def test_every_item_has_one_result_though_processes_are_killed(tmp_path: Path) -> None:
    work = Squares(tmp_path, deadly={3: 1, 7: 2})
    died: list[list[int]] = []
    started: list[int] = []
    results = list(run_in_workers(range(12), 2, work, on_death=died.append, on_start=started.append))
    by_item = dict(results)
    assert len(results) == len(by_item) == 12
    assert {n: r for n, r in by_item.items() if n != 7} == {n: n**2 for n in range(12) if n != 7}
    assert isinstance(by_item[7], Lost)
    assert "two workers died with it: it was killed; perhaps the memory is not enough" in by_item[7]
    assert sorted(died) == [[3], [7], [7]]
    assert [begun(tmp_path, n) for n in range(12)] == [2 if n in (3, 7) else 1 for n in range(12)]
    assert len(started) == 5


def test_a_batch_that_died_goes_one_by_one(tmp_path: Path) -> None:
    results = list(run_in_workers(range(6), 1, Squares(tmp_path, deadly={1: 1}), batch_size=3))
    assert sorted(results) == [(n, n**2) for n in range(6)]
    assert [begun(tmp_path, n) for n in range(6)] == [1, 2, 1, 1, 1, 1]


@pytest.mark.slow
def test_errors_stop_everything(tmp_path: Path) -> None:
    for name, numbers, error, words in (
        ("none", range(3), DataError, "nothing to open"),
        ("dead", range(3), ConfigError, "workers die before they begin: exit code 3"),
        ("here", [1, -1], RuntimeError, "no root"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(error, match=words):
            list(run_in_workers(numbers, 1, Squares(tmp_path / name)))


def test_processes_end_with_the_caller_and_nothing_is_left_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    started: list[int] = []
    running = run_in_workers(range(100), 2, Squares(tmp_path), on_start=started.append)
    next(running)
    running.close()
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "OMP_NUM_THREADS" not in os.environ
    assert list(run_in_workers([], 2, Squares(tmp_path))) == []
