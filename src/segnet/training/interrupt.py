"""Ctrl-C and SIGTERM as a question to ask between two steps, so that what is saved is a whole step."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

from rich.console import Console

REPEATED_WITHIN_S = 1.0  # a launcher passes the terminal's Ctrl-C on a second time


class Interrupt:
    """Inside a `with`, the first Ctrl-C or SIGTERM sets `asked`; a later one stops at once as usual.

    SIGTERM is what schedulers and containers send before they kill. Under torchrun it stops at once: the other
    processes have ended then, and the step in hand would wait for them. In a thread that is not the main one, where
    Python allows no signal handler, nothing is changed.

    Args:
        console: prints the answer to the first Ctrl-C.
    """

    def __init__(self, console: Console) -> None:
        self.asked = False
        self._console = console
        self._asked_at_s = 0.0
        self._by = signal.SIGINT
        self._before: dict[int, Any] = {}

    def stop(self, checkpoint: Path, step: int, num_steps: int) -> NoReturn:
        """Says how to resume, once the checkpoint of `step` is written.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            SystemExit: of code 143, after SIGTERM.
        """
        message = f"saved {checkpoint} at step {step} of {num_steps}; the same command with --resume continues"
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)
        if self._by == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _answer(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._asked_at_s, self._by = True, time.monotonic(), signal.Signals(number)
            self._console.print("stopping after this step; Ctrl-C once more stops at once, without saving")
        elif number == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        elif time.monotonic() - self._asked_at_s > REPEATED_WITHIN_S:
            signal.default_int_handler(number, frame)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            taken = [signal.SIGINT] if int(os.environ.get("WORLD_SIZE", "1")) > 1 else [signal.SIGINT, signal.SIGTERM]
            self._before = {number: signal.signal(number, self._answer) for number in taken}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
