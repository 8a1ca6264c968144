"""`docs/other-channels.md` runs as written: a model of 6 channels from data to tiles and exports."""

import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "other-channels.md"


@pytest.mark.slow
def test_the_page_runs_and_prints_what_stands_below(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rasterio")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "page"}
    said, printed = "", ""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    for language, text in found:
        if language == "python":
            with redirect_stdout(StringIO()) as lines:
                exec(compile(text, PAGE.name, "exec"), names)
            printed = lines.getvalue()
        elif language == "text":
            assert printed == text
        else:
            assert language == "bash"
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "segnet"
                code, out, err = run(*arguments)
                assert (code, err) == (0, ""), line
                said += out
    assert "2 x 2 tiles of 416 px" in said
    with Image.open("predictions/survey-overlay.png") as overlay:
        assert overlay.mode == "RGB" and overlay.width == 480
    assert Path("runs/fields/report.html").is_file() and Path("fields.xml").is_file()
