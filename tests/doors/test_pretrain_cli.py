"""`segnet pretrain` from outside: two images without labels, and what starts from the weights it leaves."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.weights.file import read_card

Run = Callable[..., tuple[int, str, str]]
QUICK = ["--set", "train.epochs=1", "--set", "train.batch_size=2", "--set", "data.workers=0"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    for number in (0, 1):
        Image.fromarray(Street(2, (24, 32))[number].image).save(root / f"{number}.jpg")
    return root


@pytest.mark.parametrize(("how", "shown"), [("--layerwise", 6), ("--at-once", 3)])
def test_images_in_and_the_start_of_segnet_basic_out(
    how: str, shown: int, run: Run, images: Path, tiny_camvid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, text, err = run("pretrain", "--data", images, "--out", out, how, *QUICK)
    assert (code, err) == (0, "")
    assert f"layerwise = {str(how == '--layerwise').lower()}" in text
    expected = ["best.safetensors", "checkpoint.pt", "config.toml", "log.jsonl", "report.html"]
    assert sorted(p.name for p in out.iterdir()) == expected
    assert read_card(out / "best.safetensors").trained_on == f"{images}, without labels"
    page = (out / "report.html").read_text()
    assert page.count("<img ") == 2 * shown  # image, what the model sees, and a view for each span
    assert len(re.findall(r"through stages? [1-4 to]+: \d+\.\d % lost", page)) >= 2 * (shown - 2)
    assert "also used for training" in page
    start = f"model.start={str(out / 'best.safetensors')!r}"
    code, _, err = run("train", "--data", tiny_camvid, "--out", tmp_path / "t", *QUICK, "--set", start)
    assert (code, err) == (0, "")

    for command, folder, holds in (("train", out, "pretrain"), ("pretrain", tmp_path / "t", "train")):
        code, _, err = run(command, "--data", tiny_camvid, "--out", folder, *QUICK, "--resume")
        assert (code, err.count("\n")) == (2, 1)
        assert f"{folder} holds a run of `segnet {holds}`, not of `segnet {command}`; name another folder" in err
    for command in (["predict", images / "0.jpg"], ["evaluate", "--data", tiny_camvid]):
        code, _, err = run(*command, "--weights", out / "best.safetensors", "--out", tmp_path / "none")
        assert (code, err.count("\n")) == (2, 1)
        assert "has no classes; start a training with them: segnet train --set model.start=" in err
        assert not (tmp_path / "none").exists()


def test_only_training_runs_in_several_processes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = run("pretrain", "--data", "street", "--out", tmp_path / "run")
    assert (code, err.count("\n")) == (2, 1)
    assert "only `segnet train` runs in several processes; start `segnet pretrain` without torchrun" in err
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert run("data", "draw", tmp_path / "scenes", "--count", 1, "--size", "24x32")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "empty"], ["DataError", "empty is empty; expected images"]),
        (["--data", "words"], ["DataError", "no image in the folder words"]),
        (["--data", "nowhere"], ["DataError", "nowhere does not exist"]),
        (["--data", "street", "--set", "train.layrs=1"], ["ConfigError", "train.layrs", "did you mean 'layerwise'?"]),
        (["--data", "street", "--set", "loss.dice=1"], ["ConfigError", "unknown section 'loss'"]),
        (["--data", "sizes", *QUICK], ["ShapeError", "a batch needs one size"]),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], words: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "words", "sizes"):
        (tmp_path / name).mkdir()
    (tmp_path / "words" / "a.txt").write_text("no image")
    for side in (8, 9):
        Image.fromarray(np.zeros((side, 8, 3), np.uint8)).save(tmp_path / "sizes" / f"{side}.png")
    code, _, err = run("pretrain", "--out", "run", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    for word in words:
        assert word in err
    assert not (tmp_path / "run" / "best.safetensors").exists()
