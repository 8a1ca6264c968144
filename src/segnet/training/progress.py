"""What a run shows while it trains: a bar in a terminal, a line every so often in a log file."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 30.0


class StepsShown:
    """Shows steps inside a `with`.

    Args:
        console: in a terminal, a bar with the time that is left; else a line every `LINE_EVERY_S` seconds.
        title: of the run.
        num_steps: of the whole run.
        first_step: steps that were taken before.
    """

    def __init__(self, console: Console, title: str, num_steps: int, first_step: int = 0) -> None:
        self._console, self._num_steps, self._first_step = console, num_steps, first_step
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        note = TextColumn("{task.fields[note]}")
        self._bar = Progress(*columns, note, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(title, total=num_steps, completed=first_step, note="")
        self._began_s = self._last_line_s = time.monotonic()

    def update(self, step: int, note: str) -> None:
        """Shows that so many steps were taken, and a note such as the loss."""
        self._bar.update(self._task, completed=step, note=note)
        now_s = time.monotonic()
        if self._console.is_terminal or now_s - self._last_line_s < LINE_EVERY_S:
            return
        self._last_line_s = now_s
        left_s = (now_s - self._began_s) / max(step - self._first_step, 1) * (self._num_steps - step)
        self._console.print(
            f"step {step} of {self._num_steps}, {note}, {duration(left_s)} left", highlight=False, soft_wrap=True
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `12 min`, `1 h 05 min`."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
