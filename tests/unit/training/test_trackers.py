"""Trackers write what a run says, go on after a resume, and are missed before the run begins."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from segnet.config import TrainSettings
from segnet.errors import ConfigError
from segnet.labels import CAMVID_11
from segnet.metrics.scores import Scores
from segnet.training.callbacks import Callback, Callbacks, EarlyStopping, Evaluated, RunEnd, RunStart, StepEnd
from segnet.training.trackers import CSVTables, MLflow, TensorBoard, WeightsAndBiases, callbacks_of


def start(out: Path, step: int = 0) -> RunStart:
    return RunStart(out, torch.nn.Identity(), {"train": {"lr": 0.5}}, step, 40)


def step(number: int, loss: float) -> StepEnd:
    return StepEnd(number, 40, number / 20, loss, 0.5, 3.0)


def evaluated(number: int, right: int = 3) -> Evaluated:
    scores = Scores(CAMVID_11)
    scores.counts[0, 0], scores.counts[0, 1] = right, 4 - right
    return Evaluated(number, number / 20, scores, True, torch.nn.Identity(), Path("best.safetensors"))


def walk(tracker: Callback, out: Path) -> None:
    """Steps 10, 20, 30 with an evaluation at 20; stopped; then from 20 on again."""
    tracker.on_start(start(out))
    for number in (5, 10, 20, 30):
        tracker.on_step(step(number, number / 10))
        if number == 20:
            tracker.on_evaluation(evaluated(20))
            state = tracker.state_dict()
    tracker.on_end(RunEnd(30, False, "stopped"))
    again = type(tracker)(*([tracker.project] if isinstance(tracker, WeightsAndBiases) else
                            [tracker.experiment] if isinstance(tracker, MLflow) else []))  # fmt: skip
    again.load_state_dict(state)
    again.on_start(start(out, 20))
    again.on_step(step(30, 7.0))
    again.on_evaluation(evaluated(40, right=4))
    again.on_end(RunEnd(40, True, "all steps were taken"))


def test_tables(tmp_path: Path) -> None:
    walk(CSVTables(), tmp_path)
    assert (tmp_path / "steps.csv").read_text().splitlines() == [
        "step,loss,lr,images_per_s", "10,1.0,0.5,3.0", "20,2.0,0.5,3.0", "30,7.0,0.5,3.0",
    ]  # fmt: skip
    assert (tmp_path / "evaluations.csv").read_text().splitlines() == [
        "step,epoch,global_accuracy,class_average_accuracy,mean_iou", "20,1.0,0.75,0.75,0.375", "40,2.0,1.0,1.0,1.0",
    ]  # fmt: skip


def test_tensorboard_gets_every_number_and_forgets_what_is_written_again(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    walk(TensorBoard(), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "lr", "images_per_s", "mean_iou", "epoch"} <= set(events.Tags()["scalars"])
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(10, 1.0), (20, 2.0), (30, 7.0)]
    assert [(e.step, e.value) for e in events.Scalars("mean_iou")] == [(20, 0.375), (40, 1.0)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracker = WeightsAndBiases("streets")
    walk(tracker, tmp_path)
    runs = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2  # two stays in one run
    assert {run.name.rsplit("-", 1)[1] for run in runs} == {tracker.state_dict()["id"]}
    assert all(list(run.glob("run-*.wandb")) for run in runs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    tracker = MLflow("streets")
    walk(tracker, tmp_path / "run")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("streets").experiment_id])
    assert run.info.run_id == tracker.state_dict()["id"]
    assert run.info.status == "FINISHED"
    assert run.data.params["train.lr"] == "0.5"
    assert run.data.metrics["mean_iou"] == 1.0
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "mean_iou")] == [
        (20, 0.375),
        (40, 1.0),
    ]


@pytest.mark.parametrize(
    ("setting", "module", "extra"),
    [
        ({"tensorboard": True}, "torch.utils.tensorboard", "logs"),
        ({"wandb": "x"}, "wandb", "wandb"),
        ({"mlflow": "x"}, "mlflow", "mlflow"),
    ],
)
def test_a_tracker_that_is_not_installed(
    setting: dict[str, Any], module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"train\.{next(iter(setting))} needs .*pip install 'segnet\[{extra}\]'"):
        callbacks_of(TrainSettings(**setting))


def test_settings_make_callbacks() -> None:
    assert callbacks_of(TrainSettings()) == []
    stopping, tables = callbacks_of(TrainSettings(early_stopping=3, csv=True, keep="global_accuracy"))
    assert isinstance(stopping, EarlyStopping) and isinstance(tables, CSVTables)
    assert (stopping.patience, stopping.score) == (3, "global_accuracy")


def test_a_gain_that_is_too_small_does_not_count() -> None:
    stopping = EarlyStopping(2, least_gain=0.5)
    reasons = [stopping.on_evaluation(evaluated(n, right)) for n, right in ((1, 2), (2, 3), (3, 4), (4, 4), (5, 4))]
    # mean IoU 0.25, 0.375, 1.0, 1.0, 1.0: the second gains too little, the third enough
    assert reasons[:4] == [None] * 4
    assert reasons[4] == "mean_iou has not risen above 1.0000 for 2 evaluations"
    assert json.loads(json.dumps(stopping.state_dict())) == {"best": 1.0, "waited": 2}


def test_two_callbacks_of_one_class_keep_their_own_state() -> None:
    first, second = EarlyStopping(2), EarlyStopping(2)
    first.best, second.best = 0.25, 0.75
    fresh = EarlyStopping(2), EarlyStopping(2)
    Callbacks(fresh).take(Callbacks((first, second)).state())
    assert [stopping.best for stopping in fresh] == [0.25, 0.75]
