"""Cells: a benchmark is many small results, each in its own folder, so it can be interrupted anywhere and resumed.

    OUT/cells/table1/segnet-basic-median/    one model, one weighting, one dataset, one setting
        settings.json                        what the result depends on
        stage1/ ...                          the training run; its checkpoint is deleted when the cell is finished
        cell.json                            the result; its presence means that the cell is finished

A finished cell is not computed again; an interrupted one is resumed. A folder that holds a cell of other
settings is refused.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from segnet.benchmark.paper_tables.cost import out_of_memory
from segnet.config import Config
from segnet.crf.dense_crf import CRFParameters
from segnet.data import open_dataset
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, DataError, NonFiniteError, WeightsError, lacks_memory
from segnet.inference.evaluate import evaluate
from segnet.io.files import whole_file
from segnet.training.checkpoint import load_checkpoint, save_checkpoint
from segnet.training.recipe import train_from_config
from segnet.weights.file import load_weights

Result = dict[str, Any]
SETTINGS_WITHOUT_EFFECT = (
    ("data", "path"),
    ("data", "workers"),
    ("train", "device"),
    ("train", "tensorboard"),
    ("model", "licence"),
)


@dataclass(frozen=True)
class TrainingCell:
    """A model to be trained and scored.

    Attributes:
        name: of its folder.
        config: all settings; `train.epochs` is the last stage.
        stages: epochs after which the model is scored, ascending; the last is `config.train.epochs`. Several need a
            constant learning rate, so that a shorter run is the beginning of a longer one.
        score_training: also score the images it was trained on.
        report_split: split whose scores are the result; empty uses the one that the training evaluates.
        keep_weights: keep the weights of the last stage in its folder; not one of the settings that are compared.

    Raises:
        ConfigError: stages that do not ascend to `train.epochs`, or several with a learning rate that depends on them.
    """

    name: str
    config: Config
    stages: tuple[int, ...]
    score_training: bool = False
    report_split: str = ""
    keep_weights: bool = True

    def __post_init__(self) -> None:
        settings = self.config.train
        if list(self.stages) != sorted(set(self.stages)) or self.stages[-1:] != (settings.epochs,):
            raise ConfigError(
                f"{self.name}: expected stages that ascend to the {settings.epochs} epochs, got {self.stages}"
            )
        if len(self.stages) > 1 and (settings.schedule != "constant" or settings.warmup):
            raise ConfigError(
                f"{self.name}: {len(self.stages)} stages need train.schedule constant and train.warmup 0, "
                f"got {settings.schedule} and {settings.warmup}"
            )
        if len(self.stages) > 1 and settings.keep != "last":
            raise ConfigError(f"{self.name}: {len(self.stages)} stages need train.keep last, got {settings.keep}")

    def settings(self) -> Result:
        """What the result depends on; the paths of the images and the device are left out."""
        return {
            "config": _with_effect(self.config),
            "stages": list(self.stages),
            "score_training": self.score_training,
            **({"report_split": self.report_split} if self.report_split else {}),
        }


def finished(folder: Path, settings: Result) -> Result | None:
    """The result of a finished cell, else None; writes nothing.

    Args:
        folder: of the cell.
        settings: what the result depends on.

    Raises:
        ConfigError: the folder holds a cell of other settings; names each.
        DataError: a file of the cell is broken.
    """
    path = folder / "cell.json"
    if path.exists() or any(folder.glob("stage*/checkpoint.pt")) or any(folder.glob("stage*/scores.json")):
        _require_same(folder, _read(folder / "settings.json"), json.loads(json.dumps(settings)))
    return _read(path) if path.exists() else None


def finished_or(folder: Path, settings: Result, compute: Callable[[], Result]) -> Result:
    """The result of a cell: read if it exists, else computed and written.

    Args:
        folder: of the cell.
        settings: what the result depends on, as JSON has it.
        compute: makes the result; not called for a finished cell. A result with `failures` is not kept.

    Raises:
        ConfigError: the folder holds a cell of other settings; names each.
        DataError: a file of the cell is broken, or cannot be written.
    """
    if (before := finished(folder, settings)) is not None:
        return before
    with whole_file(folder / "settings.json") as temporary:
        temporary.write_text(json.dumps(settings, indent=1))
    result = compute()
    if not result.get("failures"):
        with whole_file(folder / "cell.json") as temporary:
            temporary.write_text(json.dumps(result, indent=1))
    return result


def _read(path: Path) -> Result:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise DataError(f"{path} is missing or broken; delete {path.parent} to compute this cell again") from None


def train_cell(cell: TrainingCell, folder: Path, console: Console | None = None) -> Result:
    """Trains through all stages, resuming where an earlier call stopped, and scores each.

    Args:
        cell: what to train.
        folder: of the cell.
        console: where progress is shown; None is quiet.

    Returns:
        `stages`, one record each with `epochs`, `val` and, if requested, `train`: the paper's four scores by name,
        0..1, None where a score does not exist.

    Raises:
        ConfigError, DataError, NonFiniteError: as for `fit`.
    """
    device_spec = choose_device(cell.config.train.device, cell.config.train.precision)
    records: list[Result] = []
    for number, epochs in enumerate(cell.stages, start=1):
        stage = folder / f"stage{number}"
        scored = stage / "scores.json"
        if not scored.exists():
            config = cell.config.model_copy(update={"train": cell.config.train.model_copy(update={"epochs": epochs})})
            if number > 1:
                _go_on_from(folder / f"stage{number - 1}", stage, config)
            resume = (stage / "checkpoint.pt").exists()
            weights = train_from_config(config, stage, resume=resume, console=console)
            record = {"epochs": epochs, **_scores(cell, config, weights, device_spec, last=number == len(cell.stages))}
            with whole_file(scored) as temporary:
                temporary.write_text(json.dumps(record))
        records.append(json.loads(scored.read_text()))
    for number in range(1, len(cell.stages) + 1):
        (folder / f"stage{number}" / "checkpoint.pt").unlink(missing_ok=True)
        if not cell.keep_weights:
            (folder / f"stage{number}" / "best.safetensors").unlink(missing_ok=True)
    return {"stages": records}


def train_or_say_why(cell: TrainingCell, folder: Path, console: Console | None = None) -> Result:
    """`finished_or` of `train_cell`; an error of one model alone becomes a record `failure`, and the others continue.

    Such errors are lack of memory, a loss that is not finite, and weights that cannot be read or written.
    """
    try:
        return finished_or(folder, cell.settings(), lambda: train_cell(cell, folder, console))
    except (NonFiniteError, WeightsError) as cause:
        return {"failure": f"{cell.name}: {cause}"}
    except (MemoryError, RuntimeError) as cause:
        if not lacks_memory(cause):
            raise
        return {"failure": out_of_memory(cell.config.model.name, "training", cell.config.train.batch_size)}


# ------------------------------------------------------------------------------------------------ scores


def _scores(cell: TrainingCell, config: Config, weights: Path, device_spec: DeviceSpec, *, last: bool) -> Result:
    model, _ = load_weights(weights)
    data = config.data
    val_set = open_dataset(data.path, cell.report_split or data.val_split, data.format)
    result: Result = {"val": _in_json(evaluate(model, val_set, device_spec).summary())}
    if cell.score_training and last:
        train_set = open_dataset(data.path, data.train_split, data.format)
        result["train"] = _in_json(evaluate(model, train_set, device_spec, boundaries=False).summary())
    return result


def _in_json(scores: Mapping[str, float]) -> Result:
    return {name: None if math.isnan(value) else round(value, 5) for name, value in scores.items()}


def crf_cell(cell: TrainingCell, folder: Path, parameters: CRFParameters) -> tuple[Path, Result]:
    """Folder and settings of the cell that `score_with_crf` makes; its arguments."""
    return folder.with_name(f"{folder.name}-crf"), {**cell.settings(), "crf": asdict(parameters)}


def score_with_crf(cell: TrainingCell, folder: Path, parameters: CRFParameters) -> Result:
    """Scores the last stage's model with the fully connected CRF, in a separate cell `FOLDER-crf`.

    So the model is not trained again for other parameters.

    Args:
        cell: finished, with weights kept.
        folder: of that cell.
        parameters: of the CRF.

    Returns:
        The paper's four scores, as a stage's `val`.

    Raises:
        ConfigError: `FOLDER-crf` holds scores of another training or of other parameters; names each.
        WeightsError: the weights are missing.
    """

    def compute() -> Result:
        model, _ = load_weights(folder / f"stage{len(cell.stages)}" / "best.safetensors")
        data, train = cell.config.data, cell.config.train
        val_set = open_dataset(data.path, cell.report_split or data.val_split, data.format)
        return _in_json(
            evaluate(model, val_set, choose_device(train.device, train.precision), crf=parameters).summary()
        )

    return finished_or(*crf_cell(cell, folder, parameters), compute)


# ------------------------------------------------------------------------------------------------ stages, settings


def _go_on_from(before: Path, stage: Path, config: Config) -> None:
    """Starts a stage from the state in which the previous one ended: the same run with more epochs."""
    if (stage / "checkpoint.pt").exists():
        return
    state = load_checkpoint(before / "checkpoint.pt")
    save_checkpoint(stage / "checkpoint.pt", {**state, "config": config.to_toml()})
    for name in ("checkpoint.pt", "best.safetensors"):
        (before / name).unlink(missing_ok=True)


def _require_same(folder: Path, before: Result, now: Result) -> None:
    if "config" in before:  # a setting that did not exist then had its default
        before = {**before, "config": _with_effect(Config.model_validate(before["config"]))}
    flat_before, flat_now = dict(_flat(before)), dict(_flat(now))
    changed = [
        f"{key} was {flat_before.get(key)!r}, now {flat_now.get(key)!r}"
        for key in sorted(flat_before.keys() | flat_now.keys())
        if flat_before.get(key) != flat_now.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{folder} holds results of other settings ({'; '.join(changed)}); use those settings, "
            "another --out, or delete the folder"
        )


def _with_effect(config: Config) -> Result:
    settings = config.model_dump(mode="json")
    for section, key in SETTINGS_WITHOUT_EFFECT:
        del settings[section][key]
    return settings


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in settings.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs
