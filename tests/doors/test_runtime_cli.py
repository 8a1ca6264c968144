"""What `segnet predict` and `segnet benchmark latency` say from outside."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def test_predict_says_what_it_runs_on(run: Run, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "p.png")
    code, out, err = run("predict", tmp_path / "p.png", "--out", tmp_path / "o", "--precision", "float32")
    assert code == 0, err
    assert "1 of 1 pictures in" in out
    assert out.strip().endswith("on eager, cpu, float32")
    assert not (tmp_path / "o" / "p-confidence.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("predict", "p.png", "--out", "x", "--backend", "openvin"),
            "unknown backend 'openvin'; did you mean 'openvino'?",
        ),
        (("benchmark", "latency", "--nets", "segnt"), "unknown net 'segnt'; did you mean 'segnet'?"),
        (("benchmark", "latency", "--backends", "eager"), "unknown backend and precision 'eager'"),
    ],
)
def test_one_line_says_what_is_wrong(run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "p.png")
    arguments = tuple(str(tmp_path / "p.png") if a == "p.png" else a for a in arguments)
    code, _, err = run(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
