"""Parts of models and training: losses as functions and modules, input normalisation, checked calls of any model."""

from segnet.nn.logits import logits_of
from segnet.nn.loss_modules import CrossEntropyLoss, DiceLoss, FocalLoss, LovaszLoss, WeightedSum
from segnet.nn.losses import cross_entropy, dice, focal, lovasz

__all__ = [
    "CrossEntropyLoss",
    "DiceLoss",
    "FocalLoss",
    "LovaszLoss",
    "WeightedSum",
    "cross_entropy",
    "dice",
    "focal",
    "logits_of",
    "lovasz",
]
