import tomllib
from pathlib import Path

import pytest

from segnet.errors import DataError
from segnet.io.text import parse_toml, read_lines, read_text, toml_value, whole_number


def test_lines_as_windows_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes("\ufeffa.png\r\n\r\n  Straße 2.png \r\nb😀\n".encode())
    assert read_lines(path) == ["a.png", "Straße 2.png", "b😀"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.txt", "none.txt does not exist"),
        ("latin.txt", r"is not text in UTF-8 \(byte 3\)"),
        ("", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=said):
        read_text(tmp_path / name)


@pytest.mark.parametrize(
    "value", ["plain", 'quo"te \\ back', "😀 Straße", "\x7f\x01\n", True, 3, 0.25, 1e-7, [360, 480], ["a", "b"]]
)
def test_toml_reads_back_what_was_written(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


def test_toml_that_python_does_not_read_is_refused_as_any_other() -> None:
    for text in ("a = " + "9" * 5000, "a = " + "[" * 5000, "a ="):
        with pytest.raises(tomllib.TOMLDecodeError):
            parse_toml(text)
    assert parse_toml("a = 9") == {"a": 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("9" * 18, 10**18 - 1),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("\u0663", None),
        ("\u00b2", None),
    ],
)
def test_whole_numbers(text: str, expected: int | None) -> None:
    assert whole_number(text) == expected
