"""Training: `fit` for anybody's model and dataset, `train_from_config` for recipes, callbacks and trackers."""

from segnet.training.callbacks import (
    Callback,
    CheckpointSaved,
    EarlyStopping,
    Evaluated,
    RunEnd,
    RunStart,
    StepEnd,
)
from segnet.training.recipe import train_from_config
from segnet.training.trackers import CSVTables, MLflow, TensorBoard, WeightsAndBiases
from segnet.training.train import fit

__all__ = [
    "CSVTables",
    "Callback",
    "CheckpointSaved",
    "EarlyStopping",
    "Evaluated",
    "MLflow",
    "RunEnd",
    "RunStart",
    "StepEnd",
    "TensorBoard",
    "WeightsAndBiases",
    "fit",
    "train_from_config",
]
