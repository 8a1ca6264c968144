"""The field's own words in everything that a user reads: help, messages, reports, recipes, results and documentation.

Each forbidden word stands with the word to use. An exception says where the word is right, and why.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import typer

from segnet.cli import app

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/segnet"
NAMING = ("id", "arg", "name", "attr")  # the fields of syntax nodes that hold an identifier

FORBIDDEN = {
    r"pictures?|photographs?": "image",
    r"(?<![\w-])nets?(?![\w-])": "model (U-Net, V-Net and SegNet are names)",
    r"wanted|wants": "expected, needs",
    r"data sets?|parted|parting": "dataset, split",
    r"chance": "random, augmentation",
    r"pieces?": "crop",
    r"nobody|no one": "ignored, unlabelled pixels",
    r"(?:brings?|brought|bringing)(?: \w+){0,3} to": "resize, convert, quantise",
    r"backbones?|switches": "encoder, indices",
    r"miou|n_cls": "mean_iou, num_classes",
    r"anew|hence|likewise|upon|thereof|therein|whereby|wherein|whence|thence|whilst|ere|lest|nought": "again, so",
    r"come again": "try again",
    r"of one's own|asked for|laid over": "standalone, requested, drawn over",
}
WORDS = re.compile("|".join(rf"\b(?:{words})\b" for words in FORBIDDEN), re.IGNORECASE)

# Where a word is right: (part of the file's path, the text around it).
ALLOWED = {
    ("", "mIoU"): "the paper's name of a column in its tables",
    ("labels.py", "bookshelf picture counter"): "a class of SUN RGB-D",
}


def allowed(path: str, text: str, found: re.Match[str]) -> bool:
    around = text[max(found.start() - 40, 0) : found.end() + 40]
    return any(part in path and words in around for part, words in ALLOWED)


@cache
def modules() -> dict[str, tuple[list[tuple[int, str]], set[str]]]:
    """Of each module its strings of several words, docstrings included, with their lines; and all identifiers in it."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        strings, names = [], set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                if isinstance(node.value, str) and " " in node.value.strip():
                    strings.append((node.lineno, node.value))
            else:
                names |= {value for field in NAMING if isinstance(value := getattr(node, field, None), str)}
        found[path.relative_to(ROOT).as_posix()] = strings, names
    return found


def lines(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def texts() -> Iterator[tuple[str, int, str]]:
    """(file, line, text) of everything that a user reads and that stands in a file."""
    for path, (strings, _) in modules().items():
        for number, text in strings:
            yield path, number, text
    pages = [*SRC.rglob("*.toml"), *SRC.rglob("*.html"), *SRC.rglob("*.js"), *ROOT.glob("*.md")]
    pages += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "results").rglob("*.md"), *(ROOT / "results").rglob("*.toml")]
    for path in sorted(pages):
        for number, text in lines(path):
            yield path.relative_to(ROOT).as_posix(), number, text


def found_in(path: str, number: int, text: str) -> Iterator[str]:
    for found in WORDS.finditer(text):
        if not allowed(path, text, found):
            yield f"{path}:{number}: {found[0]}: ...{text[max(found.start() - 30, 0) : found.end() + 30]!r}..."


def test_files_use_the_words_of_the_field() -> None:
    wrong = [line for path, number, text in texts() for line in found_in(path, number, text)]
    assert not wrong, "\n".join(wrong)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for child_name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {child_name}")


def test_help_uses_the_words_of_the_field() -> None:
    wrong = []
    for name, command in commands(typer.main.get_command(app), "segnet"):
        wrong += found_in(name, 0, str(command.help))
        for parameter in command.params:
            options = " ".join(parameter.opts).replace("-", " ")
            wrong += found_in(name, 0, f"{options}: {getattr(parameter, 'help', None)}")
    assert not wrong, "\n".join(wrong)


FORBIDDEN_NAMES = {
    "picture",
    "pictures",
    "photograph",
    "net",
    "nets",
    "gt",
    "wanted",
    "chance",
    "backbone",
    "piece",
    "pieces",
}
ALLOWED_NAMES = {("export/ncnn.py", "Net"): "a class of ncnn", ("config/", "gt"): "an argument of pydantic's Field"}


def test_names_use_the_words_of_the_field() -> None:
    wrong = [
        f"{path}: {name}"
        for path, (_, names) in modules().items()
        for name in sorted(names)
        if FORBIDDEN_NAMES & set(name.lower().split("_"))
        and not any(part in path and name == right for part, right in ALLOWED_NAMES)
    ]
    assert not wrong, "\n".join(wrong)
