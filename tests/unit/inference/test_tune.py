"""What `auto` takes: the fastest correct way that was remembered for these weights on this machine."""

import json
from pathlib import Path

import pytest
import torch

from segnet.data.street.scenes import Street
from segnet.errors import ConfigError
from segnet.inference.predictor import Predictor
from segnet.inference.tune import LEAST_SAME, Trial, fastest, folder_of, remember, remembered, try_ways
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.runtime import openvino
from segnet.weights.file import WeightsCard, save_weights

CPU = torch.device("cpu")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights whose cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("bilinear-interpolation", 11)
    save_weights(tmp_path / "model.safetensors", model, WeightsCard("bilinear-interpolation", CAMVID_11))
    return tmp_path / "model.safetensors"


def trial(backend: str, median_ms: float, same: float = 1.0) -> Trial:
    return Trial(backend, "float32", (33, 47), median_ms, 100.0, same)  # type: ignore[arg-type]


def test_the_quickest_of_the_correct() -> None:
    trials = [trial("eager", 9), trial("openvino", 3, LEAST_SAME - 0.001), trial("compiled", 5, LEAST_SAME)]
    assert fastest(trials).backend == "compiled"
    with pytest.raises(ConfigError, match=r"no backend gives 98% of the pixels the class of float32"):
        fastest(trials[1:2])


def test_auto_takes_what_is_remembered_and_what_is_asked_for_comes_first(weights: Path) -> None:
    assert Predictor(weights).backend.name == "eager"
    remember(weights, trial("openvino", 3), CPU)
    assert str(Predictor(weights)) == "openvino, cpu, float32"
    assert str(Predictor(weights, precision="float32")) == "eager, cpu, float32"
    assert str(Predictor(weights, backend="eager", precision="float32")) == "eager, cpu, float32"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"machine": {}}', '{"machine": {}, "trial": {"backend": "eager"}}'])
def test_a_file_that_cannot_be_read_is_as_good_as_none(weights: Path, text: str) -> None:
    path = remember(weights, trial("openvino", 3), CPU)
    assert remembered(weights, CPU) == trial("openvino", 3)
    path.write_text(text)
    assert remembered(weights, CPU) is None
    assert Predictor(weights).backend.name == "eager"


def test_what_another_machine_found_is_not_taken(weights: Path) -> None:
    path = remember(weights, trial("openvino", 3), CPU)
    record = json.loads(path.read_text())
    record["machine"]["Processor"] += " of another kind"
    path.write_text(json.dumps(record))
    assert remembered(weights, CPU) is None


@pytest.mark.slow
def test_every_way_there_is_gets_its_turn(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.runtime.compiled.shutil.which", lambda name: None)
    image = torch.from_numpy(Street(1, (33, 47))[0].image.copy()).permute(2, 0, 1)[None]
    trials, refused = try_ways(weights, image, repeats=1)
    assert list(dict.fromkeys(t.backend for t in trials)) == ["eager", "openvino", "onnxruntime"]
    assert trials[0].precision == "float32" and trials[0].same == 1
    assert trials[-1].same > 0.998  # float32 in another order of sums
    assert all(t.size_px == (33, 47) and 0.8 < t.same <= 1 and t.median_ms > 0 for t in trials)  # random filters
    (line,) = refused
    assert "compiling needs a C++ compiler and found none; install g++" in line
    assert sorted(p.name for p in folder_of(weights).iterdir()) == ["classes.bin", "classes.xml"]

    def convert_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(openvino, "convert", convert_again)
    random_image = Street(1, (33, 47))[0].image
    assert Predictor(weights, backend="openvino")(random_image).classes.shape == (33, 47)
    (folder_of(weights) / "classes.xml").write_text("broken")
    with pytest.raises(AssertionError):
        Predictor(weights, backend="openvino")(random_image)
