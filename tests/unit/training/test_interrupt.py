import io
import signal
import threading
from pathlib import Path

import pytest
from rich.console import Console

from segnet.training import interrupt as module
from segnet.training.interrupt import Interrupt


def test_the_first_ctrl_c_asks_and_a_later_one_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    console = Console(record=True, file=io.StringIO())
    with Interrupt(console) as interrupt:
        assert not interrupt.asked
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        signal.raise_signal(signal.SIGINT)  # the same one, passed on by a launcher
        clock[0] += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert console.export_text().count("stopping after this step") == 1


def test_stopping_says_how_to_go_on() -> None:
    console = Console(record=True, file=io.StringIO(), width=40)
    with pytest.raises(KeyboardInterrupt), Interrupt(console) as interrupt:
        interrupt.stop(Path("run/checkpoint.pt"), 3, 12)
    expected = "saved run/checkpoint.pt at step 3 of 12; the same command with --resume continues\n"
    assert console.export_text() == expected


def test_ctrl_c_is_what_it_was_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt(Console(quiet=True)):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_another_thread_leaves_ctrl_c_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter() -> None:
        with Interrupt(Console(quiet=True)) as interrupt:
            seen.append((signal.getsignal(signal.SIGINT), interrupt.asked))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="needs signals")
def test_sigterm_asks_as_ctrl_c_does_and_the_run_then_ends_with_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, Interrupt(Console(quiet=True)) as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked
        interrupt.stop(Path("checkpoint.pt"), 3, 12)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_sigterm_stops_at_once() -> None:
    with pytest.raises(SystemExit) as stop, Interrupt(Console(quiet=True)):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143


def test_under_torchrun_sigterm_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(Console(quiet=True)):
        assert signal.getsignal(signal.SIGTERM) == before
