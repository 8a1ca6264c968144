"""Optional converters and runtimes, imported when an export needs them."""

import importlib
from typing import Any

from segnet.errors import ConfigError
from segnet.runtime.quiet import quiet


def require(module: str, extra: str) -> Any:
    """Imports a tool's module.

    Args:
        module: import name.
        extra: extra of this package that installs it.

    Raises:
        ConfigError: it is not installed, or fails to import.
    """
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as cause:
        absent = cause.name is not None and module.startswith(cause.name)
        missing = f"'{module}' is not installed" if absent else f"'{module}' fails to import ({cause})"
        raise ConfigError(f"export: {missing}; pip install 'segnet[{extra}]'") from None
