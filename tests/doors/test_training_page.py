"""`docs/training.md` runs from top to bottom and prints what stands below each block."""

import re
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from documents import ROOT

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": "training"}
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    run = 0
    for (language, text), (below, expected) in pairwise(found):
        if language != "python":
            continue
        assert below == "text", text
        with redirect_stdout(StringIO()) as printed:
            exec(compile(text, "docs/training.md", "exec"), names)
        assert printed.getvalue() == expected, text
        run += 1
    assert run == 8
