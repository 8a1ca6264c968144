"""The training queue: in order, on after failures and kills, paused as a whole. Real processes, tiny commands."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

QUEUE = Path(__file__).resolve().parents[3] / "tools/training_queue.py"


class Queue:
    def __init__(self, folder: Path) -> None:
        self.file, self.runs = folder / "queue.toml", folder / "runs"

    def write(self, *commands: tuple[str, str]) -> None:
        self.file.write_text("".join(f"[[command]]\nname = '{n}'\nrun = '''{r}'''\n" for n, r in commands))

    def __call__(self, do: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(QUEUE), do, "--file", str(self.file), "--runs", str(self.runs)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def word(self, name: str) -> str:
        lines = self("status").stdout.splitlines()
        return next((line.split()[0] for line in lines if line.split()[1].rstrip(",") == name), "")

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self("status").stdout
            time.sleep(0.05)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    made = Queue(tmp_path)
    yield made  # type: ignore[misc]
    made("stop")


def test_one_after_the_other_and_a_failure_does_not_end_it(queue: Queue, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    queue.write(("a", f"echo a >> {trace}"), ("b", "echo broken; exit 3"), ("c", f"echo c >> {trace}"))
    assert queue("start").returncode == 0
    queue.wait(lambda: queue.word("c") == "done")
    assert trace.read_text().split() == ["a", "c"]
    assert "failed      b, exit code 3" in queue("status").stdout
    assert (queue.runs / "b.log").read_text() == "broken\n"


def test_what_was_killed_is_started_again_and_what_is_done_is_not(queue: Queue, tmp_path: Path) -> None:
    trace, go = tmp_path / "trace", tmp_path / "go"
    queue.write(("a", f"echo a >> {trace}"), ("b", f"echo b >> {trace}; test -e {go} || sleep 60"))
    queue("start")
    queue.wait(lambda: trace.exists() and trace.read_text().split() == ["a", "b"])
    worker = int((queue.runs / "worker.pid").read_text())
    os.kill(worker, signal.SIGKILL)
    assert "still runs" in queue("start").stderr  # never two at a time
    queue("stop")
    assert queue.word("b") == "stopped"
    go.touch()
    queue("start")
    queue.wait(lambda: queue.word("b") == "done")
    assert trace.read_text().split() == ["a", "b", "b"]


def test_a_pause_holds_the_command_and_its_children(queue: Queue, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    queue.write(("a", f"(while true; do echo . >> {ticks}; sleep 0.05; done)"))
    queue("start")
    queue.wait(ticks.exists)
    queue("pause")
    time.sleep(0.2)
    held = ticks.stat().st_size
    time.sleep(0.4)
    assert ticks.stat().st_size == held
    queue("resume")
    queue.wait(lambda: ticks.stat().st_size > held)


@pytest.mark.parametrize("text", ["command = 3", "[[command]]\nname = 'a'\n", "no toml", ""])
def test_a_list_that_cannot_be_read_is_one_line(queue: Queue, text: str) -> None:
    if text:
        queue.file.write_text(text)
    found = queue("start")
    assert found.returncode == 1
    assert "expected" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not queue.runs.exists()
