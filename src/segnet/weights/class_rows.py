"""The tensors of a model that depend on its classes, transferred from one label set to another by class name."""

from collections.abc import Mapping

import torch
from torch import Tensor

from segnet.labels import LabelSet
from segnet.models import create_model


def class_axes(model: str, num_classes: int) -> dict[str, tuple[int, ...]]:
    """The axes of a model's tensors whose length depends on K: those that are longer in a model with one class more.

    Args:
        model: a key of `MODELS`.
        num_classes: K.

    Raises:
        ConfigError: unknown model.
    """
    with torch.device("meta"):  # shapes without values
        smaller, larger = (create_model(model, k).state_dict() for k in (num_classes, num_classes + 1))
    axes = {
        name: tuple(i for i, (a, b) in enumerate(zip(tensor.shape, larger[name].shape, strict=True)) if a != b)
        for name, tensor in smaller.items()
    }
    return {name: found for name, found in axes.items() if found}


def carry_classes(
    tensors: Mapping[str, Tensor],
    drawn: Mapping[str, Tensor],
    axes: Mapping[str, tuple[int, ...]],
    before: LabelSet,
    after: LabelSet,
) -> dict[str, Tensor]:
    """Rows of classes that both label sets have, at their new ids; the other rows keep their initialisation.

    Args:
        tensors: of the earlier model, by name.
        drawn: initial tensors of the new model, by name.
        axes: as `class_axes` gives them, of either model.
        before: label set of `tensors`.
        after: label set of `drawn`.

    Returns:
        New tensors for those names of `axes` that both models have and whose shapes differ only in the number of
        classes; none where the label sets have no name in common.
    """
    shared = [name for name in after.names if name in before.names]
    old_ids = torch.tensor([before.names.index(name) for name in shared])
    new_ids = torch.tensor([after.names.index(name) for name in shared])
    carried = {}
    for name, own_axes in axes.items() if shared else ():
        if name not in tensors or name not in drawn:
            continue
        rows, new = tensors[name], drawn[name].clone()
        for axis in own_axes:
            rows = rows.index_select(axis, old_ids)
        positions = [new_ids if axis in own_axes else torch.arange(n) for axis, n in enumerate(new.shape)]
        if rows.shape == tuple(len(position) for position in positions):
            new[torch.meshgrid(*positions, indexing="ij")] = rows.to(new.dtype)
            carried[name] = new
    return carried
