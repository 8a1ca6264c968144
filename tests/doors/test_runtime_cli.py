"""What `segnet predict` and `segnet benchmark latency` say from outside."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights

Run = Callable[..., tuple[int, str, str]]


def test_predict_prints_its_backend(run: Run, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "p.png")
    code, out, err = run("predict", tmp_path / "p.png", "--out", tmp_path / "o", "--precision", "float32")
    assert code == 0, err
    assert "1 of 1 images in" in out
    assert out.strip().endswith("on eager, cpu, float32")
    assert not (tmp_path / "o" / "p-confidence.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("predict", "p.png", "--out", "x", "--backend", "openvin"),
            "unknown backend 'openvin'; did you mean 'openvino'?",
        ),
        (("predict", "p.png", "--out", "x", "--precision", "int8"), "precision int8 is that of a quantised file"),
        (("benchmark", "latency", "--models", "segnt"), "unknown model 'segnt'; did you mean 'segnet'?"),
        (("benchmark", "latency", "--backends", "eager"), "unknown backend and precision 'eager'"),
    ],
)
def test_errors_are_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "p.png")
    arguments = tuple(str(tmp_path / "p.png") if a == "p.png" else a for a in arguments)
    code, _, err = run(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_auto_uses_what_tune_stored(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("segnet.runtime.compiled.shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if not installed
    save_weights(tmp_path / "w.safetensors", create_model("enet", 11), WeightsCard("enet", CAMVID_11))
    code, out, err = run("tune", "--weights", tmp_path / "w.safetensors", "--size", "32x48", "--repeats", 1)
    assert code == 0, err
    taken = re.search(r"auto now uses (\w+) in (\w+): the fastest with at least 98% equal classes", out)
    assert taken
    assert "not measured: compiled" in out
    assert "onnx is not installed; pip install 'segnet[onnx]'" in out
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / "p.png")
    code, out, err = run(
        "predict", tmp_path / "p.png", "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "o"
    )
    assert code == 0, err
    assert out.strip().endswith(f"on {taken[1]}, cpu, {taken[2]}")
