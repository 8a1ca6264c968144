"""The layers of a model that give one channel for each class, which pruning leaves alone."""

from segnet.weights.class_rows import class_axes
from segnet.weights.file import WeightsCard


def class_layers(card: WeightsCard) -> list[str]:
    """Names of the layers whose number of outputs depends on the number of classes."""
    axes = class_axes(card.model, card.label_set.num_classes)
    return [name.removesuffix(".weight") for name in axes if name.endswith(".weight")]
