"""Blends two weights of one model, to gain what fine-tuning added without losing what the first had learnt.

Where the second run started from the first's weights, the weights on the straight line between the two are good models
too: a small share of the second makes the first robust to data that only the second was trained on.

Source:
    Wortsman et al.: Robust fine-tuning of zero-shot models, CVPR 2022.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from segnet.errors import ConfigError, WeightsError
from segnet.weights.file import WeightsCard, load_weights


def blend_weights(first: str | Path, second: str | Path, share: float) -> tuple[nn.Module, WeightsCard]:
    """The weighted mean of two models' parameters and BN statistics.

    Args:
        first: name of weights that ship, or a `.safetensors` file.
        second: of the same model for the same classes; best from a run that started from `first`.
        share: of the second, 0..1.

    Returns:
        The model, float32, on the CPU, in eval mode; and the first's card with both recipes and without scores.

    Raises:
        ConfigError: a share outside 0..1.
        WeightsError: weights that cannot be read, or of different models, normalisations or classes.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"share: expected 0 to 1, got {share}")
    (model, card), (other, other_card) = load_weights(first), load_weights(second)
    for what, ours, theirs in (
        ("model", card.model, other_card.model),
        ("input normalisation", card.normalisation, other_card.normalisation),
        ("classes", card.label_set.names, other_card.label_set.names),
    ):
        if ours != theirs:
            raise WeightsError(
                f"{first} and {second} differ in their {what}: {_listed(ours)}; {_listed(theirs)}; "
                "blend weights with those of a run that started from them"
            )
    others = other.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(others[name], share)
    others_recipe = "".join(f"# {line}\n" for line in other_card.recipe.splitlines())
    recipe = (
        f"{card.recipe.rstrip()}\n\n# blended with a share of {share:g} of weights that were trained from these by\n"
    )
    return model, replace(card, recipe=recipe + others_recipe, scores={}, class_iou={})


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
