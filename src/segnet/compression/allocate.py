"""Which groups of channels to remove for a budget: those first that lose least for what their removal saves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segnet.compression.channels import ChannelGroups
from segnet.compression.cost import LayerCost, total_macs, total_parameters
from segnet.errors import ConfigError

BudgetKind = Literal["channels", "macs", "parameters"]


@dataclass(frozen=True)
class Budget:
    """What may stay.

    Attributes:
        kind: of what the share is: all channels that can be removed, multiplications, or parameters.
        share: 0..1, of the model that pruning began with.
    """

    kind: BudgetKind
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"pruning to a share of {self.share:g} of the {self.kind}: expected above 0, at most 1")


class Allocation:
    """The groups of a model with their scores, and what each state of it costs.

    Args:
        groups: of the model.
        costs: of its layers.
        scores: importance of each group.
        multiple: widths stay multiples of this where they were at least as large; kernels like 8.
        least_share: of each width that at least stays.
    """

    def __init__(
        self,
        groups: ChannelGroups,
        costs: Mapping[str, LayerCost],
        scores: Mapping[int, float],
        *,
        multiple: int = 8,
        least_share: float = 0.0,
    ) -> None:
        self._groups, self._costs = groups, costs
        self._multiple = multiple
        self._order = [sorted(block, key=lambda group: scores.get(group, 0.0)) for block in groups.blocks]
        self._scores = scores
        self._removed = [0] * len(groups.blocks)
        self._least = [min(max(multiple, round(least_share * len(b)), 1), len(b)) for b in groups.blocks]
        block_of = {group: number for number, block in enumerate(groups.blocks) for group in block}
        self._inputs = {name: Counter(map(block_of.get, layer.inputs)) for name, layer in groups.layers.items()}
        self._outputs = {name: Counter(map(block_of.get, layer.outputs)) for name, layer in groups.layers.items()}
        self._widths = {name: (len(layer.inputs), len(layer.outputs)) for name, layer in groups.layers.items()}
        self._uses = [
            [name for name in groups.layers if number in self._inputs[name] or number in self._outputs[name]]
            for number in range(len(groups.blocks))
        ]

    def cost(self, kind: BudgetKind) -> int:
        """What stays now, in the unit of the budget."""
        if kind == "channels":
            return sum(len(block) - removed for block, removed in zip(self._order, self._removed, strict=True))
        total = total_macs if kind == "macs" else total_parameters
        return total({name: self._costs[name] for name in self._widths}, self._widths)

    def reduce_to(self, kind: BudgetKind, amount: float) -> set[int]:
        """Removes groups until no more than `amount` stays.

        Returns:
            The groups to remove.

        Raises:
            ConfigError: even with every width at its least, more would stay.
        """
        while self.cost(kind) > amount:
            steps = [(number, *self._step(number, kind)) for number in range(len(self._order))]
            useful = [(lost / saved, number, count) for number, count, lost, saved in steps if count and saved]
            if not useful:
                raise ConfigError(
                    f"pruning: with every layer at its least, {self.cost(kind):,} {kind} stay, more than the "
                    f"{round(amount):,} that may; ask for less pruning, or a smaller --multiple than {self._multiple}"
                )
            _, number, count = min(useful)
            self._widths.update(self._without(number, count))
            self._removed[number] += count
        return {group for block, count in zip(self._order, self._removed, strict=True) for group in block[:count]}

    def _step(self, number: int, kind: BudgetKind) -> tuple[int, float, float]:
        """The next channels of a block: how many, what they lose, what they save."""
        block, removed = self._order[number], self._removed[number]
        left = len(block) - removed
        count = left % self._multiple or self._multiple
        if left - count < self._least[number]:
            return 0, 0.0, 0.0
        lost = sum(self._scores.get(group, 0.0) for group in block[removed : removed + count])
        if kind == "channels":
            return count, lost, float(count)
        after = self._without(number, count)
        saved = 0
        for name, widths in after.items():
            cost = self._costs[name].macs if kind == "macs" else self._costs[name].parameters
            saved += cost(*self._widths[name]) - cost(*widths)
        return count, lost, float(saved)

    def _without(self, number: int, count: int) -> dict[str, tuple[int, int]]:
        """Widths of the layers that a block touches, with so many channels of it less."""
        size = len(self._order[number])
        return {
            name: (
                self._widths[name][0] - count * (self._inputs[name][number] // size),
                self._widths[name][1] - count * (self._outputs[name][number] // size),
            )
            for name in self._uses[number]
        }


def shares_by_round(share: float, rounds: int) -> Sequence[float]:
    """What stays after each round: equal factors, so that every round removes the same part of what is there."""
    return [share ** (number / rounds) for number in range(1, rounds + 1)]
