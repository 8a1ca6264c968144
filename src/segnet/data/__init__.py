"""From files to batches.

The public names below are imported when first used: reading an image file does not import PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segnet.config.sections import Augmentation
    from segnet.data.adapting import adapt_dataset
    from segnet.data.formats import DATA_FORMATS, open_dataset
    from segnet.data.loader import TorchView, collate
    from segnet.data.sample import Batch, Dataset, Sample
    from segnet.data.transforms import JointTransform, augment, image_to_tensor, target_to_tensor

__all__ = [
    "DATA_FORMATS",
    "Augmentation",
    "Batch",
    "Dataset",
    "JointTransform",
    "Sample",
    "TorchView",
    "adapt_dataset",
    "augment",
    "collate",
    "image_to_tensor",
    "open_dataset",
    "target_to_tensor",
]

_HOMES = {
    "segnet.config.sections": ("Augmentation",),
    "segnet.data.adapting": ("adapt_dataset",),
    "segnet.data.formats": ("DATA_FORMATS", "open_dataset"),
    "segnet.data.loader": ("TorchView", "collate"),
    "segnet.data.sample": ("Batch", "Dataset", "Sample"),
    "segnet.data.transforms": ("JointTransform", "augment", "image_to_tensor", "target_to_tensor"),
}


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'segnet.data' has no attribute '{name}'")
