"""Models are traced and exported one at a time: while PyTorch's tracers run, they exchange parts of PyTorch itself.

Two of them at once would each put back what the other had put there, and no model would run in this process any more.
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
    """Keeps other threads from tracing, and the caller's autocast and default device out of what is traced."""
    with _one_at_a_time, torch.autocast("cpu", enabled=False), torch.device("cpu"):
        yield


class Tracer(fx.Tracer):
    """PyTorch's own, for this thread: models that run meanwhile in others pass through untraced.

    Args:
        autowrap_functions: stand in the graph as calls, and are not looked into.
    """

    def __init__(self, autowrap_functions: tuple[Callable[..., Any], ...] = ()) -> None:
        super().__init__(autowrap_functions=autowrap_functions)
        self._thread = get_ident()

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)
