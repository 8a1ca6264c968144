"""Reads text files with errors that name the file, and writes values as TOML."""

import json
from pathlib import Path

from segnet.errors import DataError


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: missing, not readable, or in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnicodeDecodeError as cause:
        raise DataError(f"{path} is not text in UTF-8 (byte {cause.start}); save it in that encoding") from None
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {cause.strerror or cause}") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped, without empty ones; errors as `read_text`."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def toml_value(value: object) -> str:
    """A plain value (string, number, boolean, list of these) as TOML; JSON's escapes are TOML's, except for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
