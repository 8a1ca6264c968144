"""A lock for tracing and exporting: while PyTorch's tracers run, they patch parts of PyTorch itself.

Two at once would each restore the other's patch, and afterwards no model in this process would run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock, get_ident
from typing import Any

import torch
from torch import fx, nn

_one_at_a_time = RLock()


@contextmanager
def tracing() -> Iterator[None]:
    """Keeps other threads from tracing, and disables the caller's autocast and default device."""
    with _one_at_a_time, torch.autocast("cpu", enabled=False), torch.device("cpu"):
        yield


class Tracer(fx.Tracer):
    """PyTorch's tracer for the current thread only: models that run in other threads meanwhile are not traced.

    Args:
        autowrap_functions: functions that stay calls in the graph and are not traced into.
    """

    def __init__(self, autowrap_functions: tuple[Callable[..., Any], ...] = ()) -> None:
        super().__init__(autowrap_functions=autowrap_functions)
        self._thread = get_ident()

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)
