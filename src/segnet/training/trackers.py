"""Callbacks that write a run's numbers: CSV tables, TensorBoard, Weights & Biases, MLflow.

All of them write the loss, the learning rate and the speed every `LOG_EVERY` steps, and the scores of each evaluation.
A resumed run continues in the same tables, folder, or run of the tracker.
"""

import csv
import math
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from segnet.config import TrainSettings
from segnet.errors import ConfigError, DataError
from segnet.io.files import whole_file
from segnet.training.callbacks import Callback, EarlyStopping, Evaluated, RunEnd, RunStart, StepEnd
from segnet.training.log import LOG_EVERY

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_OF_A_STEP = ("loss", "lr", "images_per_s")
_OF_AN_EVALUATION = ("epoch", "global_accuracy", "class_average_accuracy", "mean_iou")


def callbacks_of(settings: TrainSettings) -> list[Callback]:
    """The callbacks that settings ask for.

    Raises:
        ConfigError: a tracker that is not installed; says what to install.
    """
    found: list[Callback] = []
    if settings.early_stopping:
        score = "global_accuracy" if settings.keep == "global_accuracy" else "mean_iou"
        found.append(EarlyStopping(settings.early_stopping, score))  # type: ignore[arg-type]
    if settings.csv:
        found.append(CSVTables())
    if settings.tensorboard:
        found.append(TensorBoard())
    if settings.wandb:
        found.append(WeightsAndBiases(settings.wandb))
    if settings.mlflow:
        found.append(MLflow(settings.mlflow))
    return found


class CSVTables(Callback):
    """Writes the tables `steps.csv` and `evaluations.csv` to the run's folder, one row at a time."""

    def on_start(self, moment: RunStart) -> None:
        """As in `Callback`."""
        self._tables = {
            "steps": (moment.out / "steps.csv", ("step", *_OF_A_STEP)),
            "evaluations": (moment.out / "evaluations.csv", ("step", *_OF_AN_EVALUATION)),
        }
        for path, columns in self._tables.values():
            rows = _rows(path, moment.step) if moment.step else []
            with whole_file(path) as temporary:
                temporary.write_text("".join(map(_line, [list(columns), *rows])), encoding="utf-8")

    def on_step(self, moment: StepEnd) -> None:
        """As in `Callback`."""
        if moment.step % LOG_EVERY == 0:
            self._append("steps", moment.step, numbers_of_step(moment))

    def on_evaluation(self, moment: Evaluated) -> None:
        """As in `Callback`."""
        self._append("evaluations", moment.step, numbers_of_evaluation(moment))

    def _append(self, table: str, step: int, numbers: dict[str, float]) -> None:
        path, columns = self._tables[table]
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(_line([step, *(numbers.get(name, "") for name in columns[1:])]))
        except OSError as cause:
            raise DataError(f"{path} cannot be written: {cause.strerror}; free some space and resume") from cause


class TensorBoard(Callback):
    """Writes TensorBoard's files to the folder `tensorboard` of the run; needs the extra `logs`.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        self._writer_class: type[SummaryWriter] = _installed(
            "torch.utils.tensorboard", "train.tensorboard", "TensorBoard", "logs"
        ).SummaryWriter

    def on_start(self, moment: RunStart) -> None:
        """As in `Callback`."""
        self._writer = self._writer_class(moment.out / "tensorboard", purge_step=moment.step + 1)

    def on_step(self, moment: StepEnd) -> None:
        """As in `Callback`."""
        if moment.step % LOG_EVERY == 0:
            self._write(moment.step, numbers_of_step(moment))

    def on_evaluation(self, moment: Evaluated) -> None:
        """As in `Callback`."""
        self._write(moment.step, numbers_of_evaluation(moment))

    def on_end(self, moment: RunEnd) -> None:
        """As in `Callback`."""
        self._writer.close()

    def _write(self, step: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)


class WeightsAndBiases(Callback):
    """Logs to a project of Weights & Biases; needs the extra `wandb`. `WANDB_MODE=offline` writes files only.

    Args:
        project: name of the project.

    Raises:
        ConfigError: wandb is not installed.
    """

    def __init__(self, project: str) -> None:
        self.project = project
        self._wandb = _installed("wandb", "train.wandb", "Weights & Biases", "wandb")
        self._id: str | None = None

    def on_start(self, moment: RunStart) -> None:
        """As in `Callback`."""
        self._run = self._wandb.init(
            project=self.project,
            name=moment.out.name,
            dir=moment.out,
            config=moment.settings,
            id=self._id,
            resume="allow",
        )
        self._id = self._run.id

    def on_step(self, moment: StepEnd) -> None:
        """As in `Callback`."""
        if moment.step % LOG_EVERY == 0:
            self._run.log(numbers_of_step(moment), step=moment.step)

    def on_evaluation(self, moment: Evaluated) -> None:
        """As in `Callback`."""
        self._run.log(numbers_of_evaluation(moment), step=moment.step)

    def on_end(self, moment: RunEnd) -> None:
        """As in `Callback`."""
        self._run.finish(exit_code=0 if moment.finished else 1)

    def state_dict(self) -> dict[str, Any]:
        """As in `Callback`."""
        return {"id": self._id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As in `Callback`."""
        self._id = state["id"]


class MLflow(Callback):
    """Logs to an experiment of MLflow; needs the extra `mlflow`. `MLFLOW_TRACKING_URI` says where.

    Args:
        experiment: name of the experiment.

    Raises:
        ConfigError: mlflow is not installed.
    """

    def __init__(self, experiment: str) -> None:
        self.experiment = experiment
        self._mlflow = _installed("mlflow", "train.mlflow", "MLflow", "mlflow")
        self._id: str | None = None

    def on_start(self, moment: RunStart) -> None:
        """As in `Callback`."""
        is_new = self._id is None
        experiment = self._mlflow.set_experiment(self.experiment)
        run = self._mlflow.start_run(
            run_id=self._id, experiment_id=experiment.experiment_id, run_name=moment.out.name if is_new else None
        )
        self._id = run.info.run_id
        if is_new:  # a parameter cannot be written twice
            flat = {f"{section}.{key}": v for section, values in moment.settings.items() for key, v in values.items()}
            self._mlflow.log_params(flat)

    def on_step(self, moment: StepEnd) -> None:
        """As in `Callback`."""
        if moment.step % LOG_EVERY == 0:
            self._mlflow.log_metrics(numbers_of_step(moment), step=moment.step)

    def on_evaluation(self, moment: Evaluated) -> None:
        """As in `Callback`."""
        self._mlflow.log_metrics(numbers_of_evaluation(moment), step=moment.step)

    def on_end(self, moment: RunEnd) -> None:
        """As in `Callback`."""
        self._mlflow.end_run("FINISHED" if moment.finished else "KILLED")

    def state_dict(self) -> dict[str, Any]:
        """As in `Callback`."""
        return {"id": self._id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As in `Callback`."""
        self._id = state["id"]


def numbers_of_step(moment: StepEnd) -> dict[str, float]:
    """Loss, learning rate and speed, by name."""
    return {name: getattr(moment, name) for name in _OF_A_STEP}


def numbers_of_evaluation(moment: Evaluated) -> dict[str, float]:
    """Epoch and scores, by name; a score that does not exist is left out."""
    scores = {name: value for name, value in moment.scores.summary().items() if not math.isnan(value)}
    return {"epoch": moment.epoch, **scores}


def _installed(module: str, setting: str, what: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(f"{setting} needs {what}, which is not installed: pip install 'segnet[{extra}]'") from None


def _rows(path: Path, last_step: int) -> list[list[str]]:
    """The whole rows of an existing table up to a step."""
    if not path.is_file():
        return []
    rows = list(csv.reader(StringIO(path.read_text(encoding="utf-8"))))[1:]
    return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= last_step]


def _line(row: list[Any]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()
