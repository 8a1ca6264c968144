"""`docs/own-data.md` does what it says: its commands run one after the other and print what stands below."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segnet.weights.file import read_card

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own-data.md").read_text()


@pytest.mark.slow
def test_the_way_from_labels_to_predictions(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed, commands = "", 0
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE):
        if language == "bash":
            printed = ""
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "segnet"
                code, out, err = run(*arguments)
                assert (code, err) == (0, ""), line
                printed, commands = printed + out, commands + 1
        else:
            assert language == "text"
            for line in text.splitlines():
                assert line in printed
    assert commands == 11

    assert read_card(Path("runs/street/best.safetensors")).scores["mean_iou"] > 0.2
    assert "road" in Path("street.html").read_text()
    names = {path.name for path in Path("predictions").iterdir()}
    assert len(names) == 48  # classes and overlay of 24 images
    with Image.open("predictions/street-0-0000-overlay.png") as overlay:
        assert overlay.width >= 128
    assert Path("runs/street/report.html").is_file() and Path("runs/street/validation/scores.json").is_file()
