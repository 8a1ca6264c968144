"""Stops a prediction between its parts: each band, tile and sample asks whether to continue.

A thread cannot be stopped from outside, and one prediction may take minutes. Whoever runs it says when it is no longer
needed; the parts ask when they start, and the exception leaves the prediction as any other does.

    with stop_when(check):      check() raises when the prediction is no longer needed
        predictor(image)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)  # of this thread's prediction only


@contextmanager
def stop_when(check: Callable[[], None]) -> Iterator[None]:
    """Within the block, the parts of a prediction call `check` at their beginning.

    Args:
        check: raises to stop; called often, so it must be quick.
    """
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)


def go_on() -> None:
    """Asks whether to continue; called by bands, tiles and samples.

    Raises:
        Exception: whatever the check of `stop_when` raises.
    """
    if torch.compiler.is_compiling():  # a compiled graph holds no questions, and its tracer knows no context variables
        return
    if (check := _check.get()) is not None:
        check()
