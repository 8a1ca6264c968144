import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segnet.benchmark.paper_tables import cells, runs
from segnet.benchmark.paper_tables.cells import TrainingCell, finished_or, score_with_crf, train_cell, train_or_say_why
from segnet.benchmark.paper_tables.options import Options
from segnet.benchmark.paper_tables.prepared_data import Resized, prepare_data, require_labels
from segnet.benchmark.paper_tables.runs import run_table
from segnet.config import Config, load_config
from segnet.crf.dense_crf import CRFParameters
from segnet.data import open_dataset
from segnet.data.sample import Sample
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError, NonFiniteError
from segnet.labels import CAMVID_11, VOID
from segnet.weights.file import load_weights


def config(data: Path, *more: str) -> Config:
    """Eight seconds' work at most: three steps an epoch of the smallest model."""
    base = [f'data.path="{data}"', "data.workers=0", "model.name=bilinear-interpolation", "train.batch_size=2"]
    return load_config(None, [*base, "train.lr=0.01", "train.keep=last", "train.device=cpu", *more])


def cell(data: Path, stages: tuple[int, ...], *more: str, **what: Any) -> TrainingCell:
    return TrainingCell("cell", config(data, f"train.epochs={stages[-1]}", *more), stages, **what)


def test_a_finished_cell_is_read_and_one_of_other_settings_is_refused(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"answer": 42}

    assert finished_or(tmp_path / "c", {"a": {"b": 1}, "c": (1, 2)}, compute) == {"answer": 42}
    assert finished_or(tmp_path / "c", {"a": {"b": 1}, "c": (1, 2)}, compute) == {"answer": 42}
    assert len(calls) == 1
    with pytest.raises(ConfigError, match=r"a\.b was 1, now 2.*another --out"):
        finished_or(tmp_path / "c", {"a": {"b": 2}, "c": (1, 2)}, compute)


def test_a_result_with_failures_is_not_kept(tmp_path: Path) -> None:
    assert finished_or(tmp_path, {}, lambda: {"failures": {"training": "no memory"}})["failures"]
    assert finished_or(tmp_path, {"now": "smaller"}, lambda: {"failures": {}, "x": 1})["x"] == 1


def test_a_broken_cell_is_one_clear_line(tmp_path: Path) -> None:
    finished_or(tmp_path, {}, lambda: {"x": 1})
    (tmp_path / "cell.json").write_text('{"x": ')
    with pytest.raises(DataError, match=r"cell\.json is missing or broken; delete"):
        finished_or(tmp_path, {}, lambda: {"x": 1})


def test_stages_are_one_run_and_a_stopped_cell_goes_on(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages 1, 2: stopped after the first, gone on with; the weights are those of two epochs at once."""
    at_once = train_cell(cell(tiny_camvid, (2,)), tmp_path / "once")
    fitted: list[int] = []
    real_fit = cells.train_from_config

    def fit(settings: Config, out: Path, **more: Any) -> Path:
        if settings.train.epochs == 2 and not fitted.count(2):
            fitted.append(2)
            raise KeyboardInterrupt
        fitted.append(settings.train.epochs)
        return real_fit(settings, out, **more)

    monkeypatch.setattr(cells, "train_from_config", fit)
    staged = cell(tiny_camvid, (1, 2), score_training=True)
    with pytest.raises(KeyboardInterrupt):
        finished_or(tmp_path / "c", staged.settings(), lambda: train_cell(staged, tmp_path / "c"))
    with pytest.raises(ConfigError, match=r"train\.lr was 0\.01, now 0\.02"):
        train_or_say_why(cell(tiny_camvid, (1, 2), "train.lr=0.02", score_training=True), tmp_path / "c")
    result = train_or_say_why(staged, tmp_path / "c")
    assert fitted == [1, 2, 2]  # the first stage was not trained again
    assert [stage["epochs"] for stage in result["stages"]] == [1, 2]
    assert result["stages"][1]["val"] == at_once["stages"][0]["val"]
    assert "train" in result["stages"][1]
    assert "train" not in result["stages"][0]
    once, _ = load_weights(tmp_path / "once" / "stage1" / "best.safetensors")
    twice, _ = load_weights(tmp_path / "c" / "stage2" / "best.safetensors")
    for name, value in once.state_dict().items():
        assert torch.equal(value, twice.state_dict()[name]), name
    assert not list((tmp_path / "c").rglob("checkpoint.pt"))
    assert train_or_say_why(staged, tmp_path / "c") == result
    assert fitted == [1, 2, 2]


def test_other_crf_parameters_are_refused_without_training_again(tiny_camvid: Path, tmp_path: Path) -> None:
    trained, folder = cell(tiny_camvid, (1,), keep_weights=True), tmp_path / "c"
    stage = train_cell(trained, folder)["stages"][0]
    scores = score_with_crf(trained, folder, CRFParameters())
    assert scores.keys() == stage["val"].keys()
    assert scores != stage["val"]
    without = score_with_crf(trained, tmp_path / "c", CRFParameters())
    assert without == scores
    with pytest.raises(ConfigError, match=r"c-crf holds results of other settings \(crf.iterations was 10, now 3\)"):
        score_with_crf(trained, folder, CRFParameters(iterations=3))
    assert (folder / "stage1" / "best.safetensors").exists()
    (folder.with_name("c-crf") / "cell.json").unlink()
    nothing = CRFParameters(smoothness_weight=0.0, appearance_weight=0.0)
    assert score_with_crf(trained, folder, nothing) == stage["val"]  # the model's own word


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NonFiniteError("the loss is nan at step 3"), "the loss is nan at step 3"),
        (MemoryError(), "bilinear-interpolation, training at batch 2: out of memory; try a smaller --size"),
    ],
)
def test_what_goes_wrong_with_one_model_is_said_and_tried_again(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fit(*_: object, **__: object) -> Path:
        raise error

    monkeypatch.setattr(cells, "train_from_config", fit)
    assert words in train_or_say_why(cell(tiny_camvid, (1,)), tmp_path / "c")["failure"]
    assert not (tmp_path / "c" / "cell.json").exists()


def test_settings_that_do_not_change_the_result_may_differ(tiny_camvid: Path) -> None:
    mine = cell(tiny_camvid, (1,)).settings()
    assert mine == cell(tiny_camvid / "elsewhere", (1,), "data.workers=3", "train.device=auto").settings()
    assert mine != cell(tiny_camvid, (1,), "train.seed=1").settings()


def test_stages_that_cannot_be_one_run_are_refused(tiny_camvid: Path) -> None:
    with pytest.raises(ConfigError, match="stages that ascend"):
        TrainingCell("c", config(tiny_camvid, "train.epochs=2"), (2, 1))
    with pytest.raises(ConfigError, match=r"train\.schedule constant"):
        cell(tiny_camvid, (1, 2), "train.schedule=cosine")
    with pytest.raises(ConfigError, match=r"train\.keep last"):
        cell(tiny_camvid, (1, 2), "train.keep=mean_iou")


# ------------------------------------------------------------------------------------------------ data


def test_a_copy_of_the_data_at_another_size(tiny_camvid: Path, tmp_path: Path) -> None:
    splits = {split: open_dataset(tiny_camvid, split) for split in ("train", "val")}
    folder = prepare_data(tmp_path / "data", splits, (16, 20), "tiny")
    copy = open_dataset(folder, "val")
    assert len(open_dataset(folder, "train")) == 6
    assert copy.names == ("val-val0", "val-val1")
    assert copy[0].image.shape == (16, 20, 3)
    assert copy.label_set.names == CAMVID_11.names
    whole = splits["val"][0].target
    rows = ((np.arange(16) + 0.5) * 24 / 16).astype(int)  # the pixel under the middle of each new one
    columns = ((np.arange(20) + 0.5) * 32 / 20).astype(int)
    assert (copy[0].target == whole[np.ix_(rows, columns)]).all()
    written = (folder / "copy.json").stat().st_mtime_ns
    assert prepare_data(folder, splits, (16, 20), "tiny") == folder
    assert (folder / "copy.json").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="holds a copy of"):
        prepare_data(folder, splits, (16, 20), "another")


def test_images_of_the_right_size_are_taken_as_they_are() -> None:
    street = Street(1, (32, 32), 5)
    sample = Resized({"train": street}, (32, 32))[0]
    assert (sample.image == street[0].image).all()
    assert (sample.target == street[0].target).all()


class _Unlabelled:
    label_set = CAMVID_11
    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), VOID, np.uint8), self.names[index])


def test_a_split_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="split 'test' has no labels"):
        require_labels(_Unlabelled(), "split 'test'")


# ------------------------------------------------------------------------------------------------ tables


def test_unknown_table_and_model_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'table1'"):
        run_table("tabel1", Options(tmp_path))
    with pytest.raises(ConfigError, match="did you mean 'enet'"):
        run_table("table6", Options(tmp_path, models=("enett",)))
    assert list(tmp_path.iterdir()) == []


def made(out: Path) -> dict[str, bytes]:
    """Tables, page and plot."""
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_table_of_costs_is_as_it_was_when_a_cell_is_refused_or_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("bilinear-interpolation", "enet")
    options = Options(tmp_path, models=models, size_px=(32, 32), device="cpu", repeats=1, alone=False)
    run_table("table6", options)
    before = made(tmp_path)
    assert {"table6.json", "table6.md", "report.html"} <= before.keys()
    first = tmp_path / "cells" / "table6" / "bilinear-interpolation-cpu"
    (first / "cell.json").unlink()
    with pytest.raises(ConfigError, match="enet-cpu holds results of other settings"):
        run_table("table6", replace(options, repeats=2))
    assert not (first / "cell.json").exists()  # the second model's cell is looked at before the first is computed
    assert made(tmp_path) == before
    monkeypatch.setattr(runs, "measure_cost", stop)
    with pytest.raises(KeyboardInterrupt):
        run_table("table6", options)
    assert made(tmp_path) == before


def test_a_table_of_scores_is_as_it_was_when_a_cell_is_refused_or_stopped(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("train.batch_size=2", "data.workers=0")
    models = ("bilinear-interpolation", "deeplab-largefov")
    options = Options(
        tmp_path, str(tiny_camvid), models=models, epochs=1, device="cpu", settings=settings, repeats=1, alone=False
    )
    run_table("table4", options)
    before = made(tmp_path)
    assert {"table4.json", "table4.md", "report.html"} <= before.keys()
    for changed, words in (
        (replace(options, settings=(*settings, "train.lr=0.5")), r"train\.lr was 0\.001, now 0\.5"),
        (replace(options, crf=CRFParameters(iterations=3)), r"-crf holds .*crf\.iterations was 10, now 3"),
        (replace(options, repeats=2), "forward holds results of other settings"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_table("table4", changed)
        assert made(tmp_path) == before
    (tmp_path / "cells" / "table4" / "bilinear-interpolation-natural" / "cell.json").unlink()
    (tmp_path / "cells" / "table4" / "bilinear-interpolation-natural" / "stage1" / "scores.json").unlink()
    monkeypatch.setattr(cells, "train_from_config", stop)
    with pytest.raises(KeyboardInterrupt):
        run_table("table4", options)
    assert made(tmp_path) == before


def test_a_cell_without_memory_is_a_dash_and_the_next_model_goes_on(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fit = cells.train_from_config

    def fit(settings: Config, out: Path, **more: Any) -> Path:
        if settings.model.name == "fcn-basic":
            raise MemoryError
        return real_fit(settings, out, **more)

    monkeypatch.setattr(cells, "train_from_config", fit)
    text = run_table(
        "table4",
        Options(
            tmp_path,
            str(tiny_camvid),
            models=("fcn-basic", "bilinear-interpolation"),
            epochs=1,
            device="cpu",
            settings=("train.batch_size=2", "data.workers=0"),
            repeats=1,
            alone=False,
        ),
    )
    assert text.rows[0] == ("fcn-basic", "-", "-", "-", "-")
    assert text.rows[1][0] == "bilinear-interpolation"
    assert float(text.rows[1][1]) >= 0
    assert "Not measured: fcn-basic, training at batch 2: out of memory" in " ".join(text.notes)
    stored = json.loads((tmp_path / "table4.json").read_text())
    assert [r["model"] for r in stored["rows"]] == ["fcn-basic", "bilinear-interpolation"]
    assert "| fcn-basic | - | - | - | - |" in (tmp_path / "table4.md").read_text()
    assert "bilinear-interpolation" in (tmp_path / "report.html").read_text()
