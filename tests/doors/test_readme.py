"""What the README says is true: its Python runs, its commands and options exist, its parameter counts are counted."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.main import get_command

from segnet.cli import app
from segnet.data.street.scenes import Street
from segnet.models import MODELS, create_model

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    inline = re.findall(r"`(segnet [^`]*)`", README)
    return [line for line in (*lines, *inline) if line.startswith("segnet ")]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(Street(1, (48, 64))[0].image).save("street.png")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    with Image.open("street-overlay.png") as overlay:
        assert overlay.width >= 64


@pytest.mark.parametrize("line", commands())
def test_the_commands_of_the_readme_exist(line: str) -> None:
    command = get_command(app)
    for word in shlex.split(line)[1:]:
        if hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
        elif word.startswith("--"):
            known = {option for parameter in command.params for option in parameter.opts} | {"--debug"}
            assert word in known, f"{line}: {word} is not an option of {command.name}"


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 10


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "check"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_parameter_counts_of_the_readme() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9,]+) \|", README, flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(MODELS)
    for name, count in rows:
        assert name in MODELS
        with torch.device("meta"):
            parameters = sum(p.numel() for p in create_model(name, 11).parameters())
        assert f"{parameters:,}" == count, name


def test_every_file_that_architecture_names_exists() -> None:
    named = re.findall(r"^\| (`[^|]*`) \|", ARCHITECTURE, flags=re.MULTILINE)
    files = [f for cell in named for f in re.findall(r"`([a-z0-9_/]+(?:\.py|/))`", cell)]
    assert len(files) >= 20
    for name in files:
        assert (ROOT / "src/segnet" / name).exists(), name
