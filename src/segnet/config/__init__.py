"""The settings of a training run: typed, validated, read from TOML recipes, each with its unit and meaning.

Precedence: the defaults < a recipe < `--set section.key=value`. An unknown key is an error that names the nearest one.
The resolved settings are printed at the start of a run and stored beside its weights.
"""

from segnet.config.resolve import load_config, load_pretrain_config, recipe_names
from segnet.config.runs import Config, FitConfig, PretrainConfig, Settings
from segnet.config.sections import (
    DEVICE_PATTERN,
    Augmentation,
    DataSettings,
    DeviceName,
    LossSettings,
    ModelSettings,
    PrecisionName,
    TrainSettings,
)

__all__ = [
    "DEVICE_PATTERN",
    "Augmentation",
    "Config",
    "DataSettings",
    "DeviceName",
    "FitConfig",
    "LossSettings",
    "ModelSettings",
    "PrecisionName",
    "PretrainConfig",
    "Settings",
    "TrainSettings",
    "load_config",
    "load_pretrain_config",
    "recipe_names",
]
