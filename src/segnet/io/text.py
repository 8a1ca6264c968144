"""Reads text files with errors that name the file, numbers and TOML within them, and writes values as TOML."""

import json
import tomllib
from pathlib import Path
from typing import Any

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


def whole_number(text: str) -> int | None:
    """A number of 1 to 18 digits; None for any other text. `int` has an error of its own for thousands of digits."""
    return int(text) if 0 < len(text) <= 18 and text.isascii() and text.isdecimal() else None


def parse_toml(text: str) -> dict[str, Any]:
    """TOML as a mapping.

    Raises:
        TOMLDecodeError: not TOML; or deeper nested, or with a number of more digits, than Python reads, for which
            `tomllib` has other errors.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("lists or tables are nested too deep") from None
    except ValueError:
        raise tomllib.TOMLDecodeError("a number has thousands of digits") from None


def toml_value(value: object) -> str:
    """A plain value (string, number, boolean, list of these) as TOML; JSON's escapes are TOML's, except for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
