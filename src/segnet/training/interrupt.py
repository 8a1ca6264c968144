"""Ctrl-C as a question to ask between two steps, so that what is saved is a whole step."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn, Self

from rich.console import Console

REPEATED_WITHIN_S = 1.0  # a launcher passes the terminal's Ctrl-C on a second time


class Interrupt:
    """Inside a `with`, the first Ctrl-C sets `asked`; a later one stops at once as usual.

    In a thread that is not the main one, where Python allows no signal handler, Ctrl-C is not changed.

    Args:
        console: prints the answer to the first Ctrl-C.
    """

    def __init__(self, console: Console) -> None:
        self.asked = False
        self._console = console
        self._asked_at_s = 0.0

    def stop(self, checkpoint: Path, step: int, num_steps: int) -> NoReturn:
        """Says how to resume, once the checkpoint of `step` is written.

        Raises:
            KeyboardInterrupt: always.
        """
        message = f"saved {checkpoint} at step {step} of {num_steps}; the same command with --resume continues"
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)
        raise KeyboardInterrupt

    def _answer(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._asked_at_s = True, time.monotonic()
            self._console.print("stopping after this step; Ctrl-C once more stops at once, without saving")
        elif time.monotonic() - self._asked_at_s > REPEATED_WITHIN_S:
            signal.default_int_handler(number, frame)

    def __enter__(self) -> Self:
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        if self._in_main_thread:
            self._before = signal.signal(signal.SIGINT, self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_main_thread:
            signal.signal(signal.SIGINT, self._before)
