"""Other packages do their work without words about their own code."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from segnet.runtime.tracing import tracing

_TALKATIVE = ("torch.onnx._internal.exporter._registration", "torch.utils._pytree", "coremltools", "nncf")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps from the screen what the tools say of their own code: no caller can act on a deprecation inside them."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    with tracing(), warnings.catch_warnings():  # filters and levels are the process's, and what is quiet here traces
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
