"""Structured pruning of one model: the groups of channels that do least are removed from all layers at once."""

import copy
from collections.abc import Collection
from dataclasses import dataclass

from torch import nn

from segnet.compression.allocate import Allocation, BudgetKind
from segnet.compression.channels import ChannelGroups, find_groups
from segnet.compression.cost import layer_costs, macs_of
from segnet.errors import ConfigError
from segnet.models.widths import keep_channels


@dataclass(frozen=True)
class Size:
    """How large a model is.

    Attributes:
        macs: multiplications with addition of its convolutions for one image.
        parameters: how many.
        channels: that could be removed, counted once for each group.
    """

    macs: int
    parameters: int
    channels: int

    def amount(self, kind: BudgetKind) -> int:
        """The one of the three that a budget is about."""
        return {"macs": self.macs, "parameters": self.parameters, "channels": self.channels}[kind]


def size_of(model: nn.Module, size_px: tuple[int, int], groups: ChannelGroups | None = None) -> Size:
    """Counts a model.

    Args:
        model: of `MODELS`, full or lean.
        size_px: (height, width) of the image that multiplications are counted for.
        groups: of the model; None finds them.
    """
    found = groups or find_groups(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Size(macs_of(model, size_px), parameters, sum(map(len, found.blocks)))


def remove_groups(model: nn.Module, groups: ChannelGroups, removed: Collection[int]) -> nn.Module:
    """A copy of a model without some groups of channels.

    Args:
        model: it is not changed.
        groups: of the model.
        removed: groups of its blocks.

    Raises:
        ConfigError: a group that cannot be removed, or a layer that would have no channel left.
    """
    known = {group for block in groups.blocks for group in block}
    if not known.issuperset(removed):
        raise ConfigError("pruning: channels of the image or of the classes cannot be removed")
    kept = groups.kept(frozenset(removed))
    for name, (inputs, outputs) in kept.items():
        if not inputs or not outputs:
            raise ConfigError(f"pruning: no channel of {name} would be left; keep at least one of each group")
    lean = copy.deepcopy(model)
    keep_channels(lean, kept)
    return lean


def pruned(
    model: nn.Module,
    groups: ChannelGroups,
    scores: dict[int, float],
    kind: BudgetKind,
    amount: float,
    *,
    size_px: tuple[int, int],
    multiple: int = 8,
    least_share: float = 0.0,
) -> nn.Module:
    """A copy of a model within a budget; the model itself where it is within already.

    Args:
        model: it is not changed.
        groups: of the model.
        scores: importance of each group.
        kind: what the budget counts.
        amount: how much of that may stay.
        size_px: (height, width) of the image that multiplications are counted for.
        multiple: widths stay multiples of this where they were at least as large.
        least_share: of each width that at least stays, as long as the budget can be met so.

    Raises:
        ConfigError: the budget cannot be met.
    """
    costs = layer_costs(model, size_px)
    for least in dict.fromkeys((least_share, 0.0)):
        allocation = Allocation(groups, costs, scores, multiple=multiple, least_share=least)
        try:
            return remove_groups(model, groups, allocation.reduce_to(kind, amount))
        except ConfigError:
            if least == 0:
                raise
    raise AssertionError("unreachable")  # the last try returns or raises
