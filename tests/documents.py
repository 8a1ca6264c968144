"""Reading Markdown pages: their blocks of code, their commands and headings."""

import re
import shlex
from pathlib import Path

from typer.main import get_command

from segnet.cli import app

ROOT = Path(__file__).resolve().parents[1]


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block, in order."""
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language, in order."""
    return [content for name, content in blocks_of(text) if name == language]


def commands_in(text: str) -> list[str]:
    """Every `segnet ...` in blocks of bash and console and between backticks, without the comment behind it."""
    shown = [*blocks(text, "bash"), *blocks(text, "console")]
    lines = [line.removeprefix("$ ").split(" #")[0].strip() for block in shown for line in block.splitlines()]
    inline = re.findall(r"`(segnet [^`]*)`", text)
    return [" ".join(line.split()) for line in (*lines, *inline) if line.startswith("segnet ")]


def require_known_command(line: str) -> None:
    """Fails where a command, or one of its options, does not exist."""
    command = get_command(app)
    for word in shlex.split(line)[1:]:
        if hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
        elif word.startswith("--"):
            known = {option for parameter in command.params for option in parameter.opts} | {"--debug", "--help"}
            assert word in known, f"{line}: {word} is not an option of {command.name}"
        else:
            assert not hasattr(command, "commands") or word.isupper() or word == "...", f"{line}: no command '{word}'"


def anchors(text: str) -> set[str]:
    """What `page.md#...` may say: the headings as GitHub writes them in addresses."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
