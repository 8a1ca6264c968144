"""Training: `fit` for anybody's model and dataset, `train_from_config` for recipes, callbacks and trackers.

The public names below are imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "segnet.training.callbacks": (
        "Callback",
        "CheckpointSaved",
        "EarlyStopping",
        "Evaluated",
        "RunEnd",
        "RunStart",
        "StepEnd",
    ),
    "segnet.training.recipe": ("train_from_config",),
    "segnet.training.trackers": ("CSVTables", "MLflow", "TensorBoard", "WeightsAndBiases"),
    "segnet.training.train": ("fit",),
}


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'segnet.training' has no attribute '{name}'")
