"""What a Bayesian model adds: maps of `segnet predict --uncertainty`, calibration in the report of `segnet
evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.data.datasets.folder import write_folder
from segnet.data.street.scenes import Street
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bayesian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "bayesian.safetensors"
    torch.manual_seed(0)
    model = create_model("bayesian-segnet-basic", 11, normalisation="mean_std")
    save_weights(path, model, WeightsCard(model="bayesian-segnet-basic", label_set=CAMVID_11))
    return path


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    write_folder(root, Street(8, (32, 48)))
    return root


@pytest.mark.parametrize("tile_px", [0, 416])
def test_maps_of_uncertainty(run: Run, bayesian: Path, tmp_path: Path, tile_px: int) -> None:
    size_px = (40, 450) if tile_px else (20, 30)
    Image.fromarray(Street(1, size_px)[0].image).save(tmp_path / "p.png")
    code, _, err = run(
        "predict", tmp_path / "p.png", "--weights", bayesian, "--out", tmp_path / "o", "--uncertainty", 3,
        "--tile", tile_px,
    )  # fmt: skip
    assert code == 0, err
    for name in ("variance", "entropy", "mutual-information"):
        with Image.open(tmp_path / "o" / f"p-{name}.png") as grey:
            values = np.array(grey)
        assert values.shape == size_px
        assert values.max() > 0


def test_the_report_shows_calibration(run: Run, bayesian: Path, streets: Path, tmp_path: Path) -> None:
    errors = []
    for samples in (0, 3):
        out = tmp_path / str(samples)
        code, _, err = run(
            "evaluate", "--weights", bayesian, "--data", streets, "--out", out, "--uncertainty", samples
        )  # fmt: skip
        assert code == 0, err
        scores = json.loads((out / "scores.json").read_text())
        calibration = scores["calibration"]
        assert sum(calibration["bins"]["pixels"]) == np.sum(scores["counts"])
        assert sum(calibration["bins"]["right"]) == np.trace(scores["counts"])
        assert calibration["accuracy_of_surest"]["1"] == pytest.approx(scores["global_accuracy"])
        errors.append(calibration["expected_calibration_error"])
        page = (out / "report.html").read_text()
        assert "<h2>Calibration</h2>" in page
        assert f"Expected calibration error {100 * errors[-1]:.1f} %" in page
    assert errors[0] != errors[1]  # of the softmax, and of the mean softmax of the samples


def test_a_model_without_dropout_is_refused(run: Run, streets: Path, tmp_path: Path) -> None:
    code, _, err = run(
        "evaluate", "--weights", "segnet-basic-camvid", "--data", streets, "--out", tmp_path / "o", "--uncertainty", 2
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "SegNetBasic has no dropout to sample; use a Bayesian model such as bayesian-segnet-basic" in err
