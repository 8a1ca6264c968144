"""`segnet crf search` from outside, and the commands that take its file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segnet.crf import search as crf_search
from segnet.crf.dense_crf import CRFParameters
from segnet.crf.file import read_crf, write_crf
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, create_model("bilinear-interpolation", 11), WeightsCard("bilinear-interpolation", CAMVID_11))
    return path


def test_search_then_evaluate_then_predict(
    run: Run, weights: Path, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {name: (value,) for name, value in zip(crf_search.COARSE_GRID, (0.5, 3.0, 20.0, 8.0), strict=True)}
    monkeypatch.setattr(crf_search, "COARSE_GRID", grid)
    file = tmp_path / "crf.toml"
    searched = ("--weights", weights, "--data", tiny_camvid, "--images", 2, "--rounds", 1, "--iterations", 2)
    code, out, err = run("crf", "search", *searched, "--measure", "mean_iou", "--out", file)
    assert code == 0, err
    assert read_crf(file) == CRFParameters(0.5, 3.0, 3.0, 20.0, 8.0, iterations=2)
    first = file.read_text().splitlines()[0]
    assert first.startswith("# mean_iou ")
    assert first.endswith(f" points over the model alone on 2 images of train of {tiny_camvid}")
    assert "no CRF" in out

    on = ("evaluate", "--weights", weights, "--data", tiny_camvid)
    assert run(*on, "--out", tmp_path / "alone")[0] == 0
    assert run(*on, "--out", tmp_path / "refined", "--crf", file)[0] == 0
    alone, refined = (json.loads((tmp_path / name / "scores.json").read_text()) for name in ("alone", "refined"))
    assert alone["counts"] != refined["counts"]
    assert "appearance_px=20.0" in refined["CRF"]
    assert "CRF" not in alone
    assert "appearance_px=20.0" in (tmp_path / "refined" / "report.html").read_text()

    predicted = ("predict", next((tiny_camvid / "val").iterdir()), "--weights", weights, "--confidence")
    assert run(*predicted, "--out", tmp_path / "one")[0] == 0
    assert run(*predicted, "--out", tmp_path / "two", "--crf", file)[0] == 0
    one, two = (next((tmp_path / name).glob("*-confidence.png")).read_bytes() for name in ("one", "two"))
    assert one != two


def test_wrong_words_are_refused(run: Run, weights: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    write_crf(tmp_path / "crf.toml", CRFParameters())
    with (tmp_path / "crf.toml").open("a") as file:
        file.write("widht = 3\n")
    cases = [
        (("evaluate", "--weights", weights, "--crf", tmp_path / "crf.toml"), "unknown name 'widht'"),
        (("predict", tiny_camvid / "val", "--out", tmp_path, "--crf", tmp_path / "no.toml"), "segnet crf search"),
        (("crf", "search", "--weights", weights, "--data", tiny_camvid, "--measure", "miou"), "mean_iou"),
        (("crf", "search", "--weights", weights, "--data", tiny_camvid, "--split", "trian"), "split 'trian'"),
        (("crf", "search", "--weights", "nothing", "--data", tiny_camvid), "nothing"),
    ]
    for arguments, words in cases:
        code, _, err = run(*arguments)
        assert code == 2
        assert words in err
