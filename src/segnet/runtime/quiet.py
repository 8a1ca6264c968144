"""Silences warnings that other packages emit about their own code."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from segnet.runtime.tracing import tracing

_NOISY_LOGGERS = ("torch.onnx._internal.exporter._registration", "torch.utils._pytree", "coremltools", "nncf")


@contextmanager
def quiet() -> Iterator[None]:
    """Hides deprecation warnings and log lines of converters: a user cannot act on a deprecation inside them."""
    loggers = [logging.getLogger(name) for name in _NOISY_LOGGERS]
    with tracing(), warnings.catch_warnings():  # filters are global: the tracing lock keeps other threads out
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
