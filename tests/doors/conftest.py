"""How every test of a command runs it: in this process, with lines that are not wrapped."""

import sys
from collections.abc import Callable

import pytest

from segnet import cli
from segnet.cli import console


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `segnet ARGUMENTS`: exit code, standard output, standard error."""
    monkeypatch.setattr(console.out_console, "width", 300)
    monkeypatch.setattr(console.error_console, "width", 300)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segnet", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call
