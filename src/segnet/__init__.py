"""SegNet: every pixel a class.

The public names below are imported when first used, so `import segnet` does no work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segnet.config import Config, load_config
    from segnet.data import open_dataset
    from segnet.engine.device import Place, choose_place
    from segnet.engine.evaluate import Scores, evaluate
    from segnet.engine.predict import Predictor
    from segnet.engine.prediction import Prediction
    from segnet.engine.train import fit
    from segnet.engine.uncertainty import Uncertainty, sample_uncertainty
    from segnet.errors import SegNetError
    from segnet.labels import VOID, LabelSet
    from segnet.models import MODELS, create_model
    from segnet.models.weights import WEIGHTS, WeightsCard, load_weights, save_weights
    from segnet.pooling import PoolingIndices, max_pool, max_unpool

__version__ = "0.1.0"

__all__ = [
    "MODELS",
    "VOID",
    "WEIGHTS",
    "Config",
    "LabelSet",
    "Place",
    "PoolingIndices",
    "Prediction",
    "Predictor",
    "Scores",
    "SegNetError",
    "Uncertainty",
    "WeightsCard",
    "choose_place",
    "create_model",
    "evaluate",
    "fit",
    "load_config",
    "load_weights",
    "max_pool",
    "max_unpool",
    "open_dataset",
    "sample_uncertainty",
    "save_weights",
]

_HOMES = {
    "segnet.config": ("Config", "load_config"),
    "segnet.data": ("open_dataset",),
    "segnet.engine.device": ("Place", "choose_place"),
    "segnet.engine.evaluate": ("Scores", "evaluate"),
    "segnet.engine.predict": ("Predictor",),
    "segnet.engine.prediction": ("Prediction",),
    "segnet.engine.train": ("fit",),
    "segnet.engine.uncertainty": ("Uncertainty", "sample_uncertainty"),
    "segnet.errors": ("SegNetError",),
    "segnet.labels": ("VOID", "LabelSet"),
    "segnet.models": ("MODELS", "create_model"),
    "segnet.models.weights": ("WEIGHTS", "WeightsCard", "load_weights", "save_weights"),
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
