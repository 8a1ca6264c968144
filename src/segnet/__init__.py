"""SegNet: every pixel a class.

The public names below are imported when first used, so `import segnet` does no work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from segnet.version import __version__ as __version__

if TYPE_CHECKING:
    from segnet.config import Augmentation, Config, FitConfig, LossSettings, TrainSettings, load_config
    from segnet.data import TorchView, adapt_dataset, collate, open_dataset
    from segnet.data.channel_statistics import channel_statistics
    from segnet.device import DeviceSpec, choose_device
    from segnet.errors import SegNetError
    from segnet.inference.evaluate import evaluate
    from segnet.inference.prediction import Prediction
    from segnet.inference.predictor import Predictor
    from segnet.inference.test_time import TestTimeAugmentation
    from segnet.inference.uncertainty import Uncertainty, sample_uncertainty
    from segnet.labels import VOID, LabelSet
    from segnet.metrics.running import SegmentationScores
    from segnet.metrics.scores import Scores
    from segnet.models import MODELS
    from segnet.nn.normalisation import ChannelStatistics
    from segnet.pooling import PoolingIndices, max_pool, max_unpool
    from segnet.training.callbacks import Callback, EarlyStopping
    from segnet.training.recipe import train_from_config
    from segnet.training.train import fit
    from segnet.weights.create import create_model, load
    from segnet.weights.file import WEIGHTS, WeightsCard, load_weights, save_weights
    from segnet.weights.pretrained import from_pretrained, save_pretrained


__all__ = [
    "MODELS",
    "VOID",
    "WEIGHTS",
    "Augmentation",
    "Callback",
    "ChannelStatistics",
    "Config",
    "DeviceSpec",
    "EarlyStopping",
    "FitConfig",
    "LabelSet",
    "LossSettings",
    "PoolingIndices",
    "Prediction",
    "Predictor",
    "Scores",
    "SegNetError",
    "SegmentationScores",
    "TestTimeAugmentation",
    "TorchView",
    "TrainSettings",
    "Uncertainty",
    "WeightsCard",
    "adapt_dataset",
    "channel_statistics",
    "choose_device",
    "collate",
    "create_model",
    "evaluate",
    "fit",
    "from_pretrained",
    "load",
    "load_config",
    "load_weights",
    "max_pool",
    "max_unpool",
    "open_dataset",
    "sample_uncertainty",
    "save_pretrained",
    "save_weights",
    "train_from_config",
]

_HOMES = {
    "segnet.config": ("Augmentation", "Config", "FitConfig", "LossSettings", "TrainSettings", "load_config"),
    "segnet.data.channel_statistics": ("channel_statistics",),
    "segnet.inference.test_time": ("TestTimeAugmentation",),
    "segnet.data": ("TorchView", "adapt_dataset", "collate", "open_dataset"),
    "segnet.device": ("DeviceSpec", "choose_device"),
    "segnet.inference.evaluate": ("evaluate",),
    "segnet.metrics.running": ("SegmentationScores",),
    "segnet.metrics.scores": ("Scores",),
    "segnet.inference.predictor": ("Predictor",),
    "segnet.inference.prediction": ("Prediction",),
    "segnet.training.callbacks": ("Callback", "EarlyStopping"),
    "segnet.training.recipe": ("train_from_config",),
    "segnet.training.train": ("fit",),
    "segnet.inference.uncertainty": ("Uncertainty", "sample_uncertainty"),
    "segnet.errors": ("SegNetError",),
    "segnet.labels": ("VOID", "LabelSet"),
    "segnet.models": ("MODELS",),
    "segnet.nn.normalisation": ("ChannelStatistics",),
    "segnet.weights.create": ("create_model", "load"),
    "segnet.weights.file": ("WEIGHTS", "WeightsCard", "load_weights", "save_weights"),
    "segnet.weights.pretrained": ("from_pretrained", "save_pretrained"),
    "segnet.pooling": ("PoolingIndices", "max_pool", "max_unpool"),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'segnet' has no attribute '{name}'")
