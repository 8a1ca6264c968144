"""Work for processes that die: imported by them, so it needs nothing heavy."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from segnet.errors import DataError


class Squares:
    """Squares of numbers; each is noted in a file, and numbers that are named kill their process.

    Args:
        folder: of the notes.
        deadly: number -> how many processes it kills.
    """

    def __init__(self, folder: Path, deadly: dict[int, int] | None = None) -> None:
        self.folder, self.deadly = folder, deadly or {}

    def __call__(self) -> Callable[[Sequence[int]], Iterator[int]]:
        if self.folder.name == "none":
            raise DataError("nothing to open")
        if self.folder.name == "dead":
            os._exit(3)
        return self.work

    def work(self, numbers: Sequence[int]) -> Iterator[int]:
        for number in numbers:
            notes = self.folder / str(number)
            with notes.open("a") as file:
                file.write(f"{os.getpid()}\n")
            if len(notes.read_text().split()) <= self.deadly.get(number, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            if number < 0:
                raise ValueError("no root")
            yield number**2
