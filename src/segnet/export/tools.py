"""The tools behind the targets: imported when asked for, and quiet."""

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segnet.errors import ConfigError

_TALKATIVE = ("torch.onnx._internal.exporter._registration", "torch.utils._pytree", "coremltools", "nncf")


def require(module: str, extra: str) -> Any:
    """A tool's module.

    Args:
        module: its name in Python.
        extra: the extra of this package that installs it.

    Raises:
        ConfigError: it is not installed, or does not load.
    """
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as cause:
        absent = cause.name is not None and module.startswith(cause.name)
        missing = f"'{module}' is not installed" if absent else f"'{module}' does not load ({cause})"
        raise ConfigError(f"export: {missing}; pip install 'segnet[{extra}]'") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps from the screen what the tools say of their own code: no caller can act on a deprecation inside them."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
