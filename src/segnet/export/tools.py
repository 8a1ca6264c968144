"""The tools behind the targets, imported when asked for."""

import importlib
from typing import Any

from segnet.errors import ConfigError
from segnet.runtime.quiet import quiet


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
