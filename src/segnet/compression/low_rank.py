"""Low-rank models: k x k convolutions in two factors, k x 1 and 1 x k, with few channels between them.

The filters of a trained convolution, seen as a matrix from the columns of its input to the rows of its output, are
close to a matrix of low rank, and closer still on the inputs that really occur. Each convolution gets the two factors
that keep its responses on training images best; where few channels do little harm, few stay.

Source:
    Jaderberg, Vedaldi, Zisserman: Speeding up convolutional neural networks with low rank expansions, BMVC 2014, for
    the factors k x 1 and 1 x k. Zhang, Zou, He, Sun: Accelerating very deep convolutional networks for classification
    and detection, TPAMI 2016, for keeping responses instead of filters, and for ranks that keep the product of the
    layers' energies highest.
Chosen:
    The k positions of a row are weighed alike, as if their errors were independent: the factors then follow from one
    singular value decomposition, without iterating.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.compression.allocate import BudgetKind
from segnet.compression.channels import ChannelGroups
from segnet.compression.cost import LayerCost, layer_costs
from segnet.compression.prune import size_of
from segnet.errors import ConfigError
from segnet.models.widths import factorise, is_factorisable, layers_with_channels
from segnet.nn.layers import FactorisedConv2d

COLUMNS = 6000  # of each image and layer; more change no rank
_REGULAR = 1e-4  # share of the mean second moment, added to each: some channels never fire


@dataclass(frozen=True)
class Factors:
    """A convolution as a product of two, for every rank up to the full one.

    Attributes:
        column: (C k, R): the first factor's filters, one for each channel between.
        row: (R, k D): the second factor's filters.
        energy: (R,): share of the responses' energy that the first 1, 2, ... R channels keep.
    """

    column: Tensor
    row: Tensor
    energy: Tensor


def layers_to_factorise(model: nn.Module, groups: ChannelGroups, multiple: int) -> dict[str, nn.Conv2d]:
    """The convolutions that may be put in two factors: k x k, not the classifier, of at least `multiple` inputs."""
    free = {group for block in groups.blocks for group in block}
    return {
        name: layer
        for name, layer in layers_with_channels(model).items()
        if isinstance(layer, nn.Conv2d)
        and is_factorisable(layer)
        and layer.in_channels >= multiple
        and free.issuperset(groups.layers[name].outputs)
    }


@torch.no_grad()
def column_moments(
    model: nn.Module, layers: Mapping[str, nn.Conv2d], images: Iterable[Tensor], *, seed: int = 0
) -> dict[str, Tensor]:
    """Second moments of what the first factors will see: columns of k pixels of all input channels.

    Args:
        model: in eval mode; it is not changed.
        layers: of the model.
        images: (N, C, H, W) in [0, 1], on the model's device.
        seed: of the columns that are drawn, `COLUMNS` of each image.

    Returns:
        float64 (C k, C k) for each layer.
    """
    generator = torch.Generator().manual_seed(seed)
    moments: dict[str, Tensor] = {}

    def measure(name: str, layer: nn.Conv2d, features: Tensor) -> None:
        size, reach = layer.kernel_size[0], layer.kernel_size[0] // 2
        padded = F.pad(features.float(), (0, 0, reach, reach))
        count, channels, height, width = features.shape
        places = torch.randint(count * height * width, (COLUMNS * count,), generator=generator)
        number, row, across = places // (height * width), places // width % height, places % width
        columns = torch.stack([padded[number, :, row + step, across] for step in range(size)], 2)  # (P, C, k)
        flat = columns.reshape(len(places), channels * size).double()
        moments[name] = moments.get(name, 0) + flat.T @ flat / len(places)

    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs, name=name: measure(name, layer, inputs[0]))
        for name, layer in layers.items()
    ]
    try:
        for image in images:
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return moments


@torch.no_grad()
def factors_of(layer: nn.Conv2d, moments: Tensor) -> Factors:
    """The factors that keep the responses best.

    Args:
        layer: C -> D channels, filters of k x k.
        moments: float64 (C k, C k) of its input, as from `column_moments`.
    """
    filters = layer.weight.double()  # (D, C, k, k)
    matrix = filters.permute(1, 2, 3, 0).reshape(layer.in_channels * filters.shape[2], -1)  # (C k, k D)
    regular = moments + _REGULAR * moments.diagonal().mean() * torch.eye(len(moments), dtype=moments.dtype)
    values, vectors = torch.linalg.eigh(regular)
    scale = values.clamp_min(1e-12 * float(values[-1])).sqrt()
    left, singular, right = torch.linalg.svd((vectors * scale) @ vectors.T @ matrix, full_matrices=False)
    each = singular.sqrt()  # shared between the factors: filters of one size train alike
    column = (vectors / scale) @ vectors.T @ left * each
    energy = singular.square().cumsum(0)
    return Factors(column, each[:, None] * right, energy / energy[-1])


def choose_ranks(
    factors: Mapping[str, Factors],
    layers: Mapping[str, nn.Conv2d],
    costs: Mapping[str, LayerCost],
    saved: float,
    kind: BudgetKind,
    multiple: int = 8,
) -> dict[str, int]:
    """The ranks that keep the product of the layers' energies highest while they save enough.

    Args:
        factors: of each layer.
        layers: the convolutions.
        costs: of each layer.
        saved: how much has to go.
        kind: what is saved: `macs` or `parameters`.
        multiple: ranks are multiples of this.

    Returns:
        Ranks of the layers that are put in factors; the others stay whole.

    Raises:
        ConfigError: even with every rank at its least, less would be saved.
    """

    def cost(name: str, rank: int | None) -> float:
        layer, of_layer = layers[name], costs[name]
        unit = of_layer.places if kind == "macs" else of_layer.filter_px
        if rank is None:
            return unit * layer.in_channels * layer.out_channels
        return unit // layer.kernel_size[0] * rank * (layer.in_channels + layer.out_channels)

    def next_rank(name: str, rank: int | None) -> int:
        if rank is not None:
            return rank - multiple
        most = (len(factors[name].energy) - 1) // multiple * multiple
        while most > 0 and cost(name, most) >= cost(name, None):
            most -= multiple
        return most

    def energy(name: str, rank: int | None) -> float:
        return 0.0 if rank is None else math.log(float(factors[name].energy[rank - 1]))

    ranks: dict[str, int | None] = dict.fromkeys(factors)
    left = saved
    while left > 0:
        steps = []
        for name, rank in ranks.items():
            lower = next_rank(name, rank)
            if lower >= multiple:
                gain = cost(name, rank) - cost(name, lower)
                steps.append(((energy(name, rank) - energy(name, lower)) / gain, name, lower, gain))
        if not steps:
            raise ConfigError(
                f"pruning: with every rank at its least, {round(left):,} {kind} too many stay; ask for less pruning, "
                f"or a smaller --multiple than {multiple}"
            )
        _, name, lower, gain = min(steps)
        ranks[name] = lower
        left -= gain
    return {name: rank for name, rank in ranks.items() if rank is not None}


@torch.no_grad()
def low_rank(
    model: nn.Module,
    groups: ChannelGroups,
    images: Iterable[Tensor],
    kind: BudgetKind,
    amount: float,
    *,
    size_px: tuple[int, int],
    multiple: int = 8,
) -> nn.Module:
    """A copy of a model within a budget, with convolutions in two factors.

    Args:
        model: on the CPU, in eval mode; it is not changed.
        groups: of its channels.
        images: training images (N, C, H, W) in [0, 1], whose responses are kept.
        kind: what the budget counts: `macs` or `parameters`.
        amount: how much of that may stay.
        size_px: (height, width) of the image that multiplications are counted for.
        multiple: ranks are multiples of this.

    Raises:
        ConfigError: the budget cannot be met, or counts something else.
    """
    if kind not in ("macs", "parameters"):
        raise ConfigError(f"pruning by rank counts macs or parameters, not {kind}; give --macs or --parameters")
    layers = layers_to_factorise(model, groups, multiple)
    moments = column_moments(model, layers, images)
    factors = {name: factors_of(layer, moments[name]) for name, layer in layers.items()}
    saved = size_of(model, size_px, groups).amount(kind) - amount
    ranks = choose_ranks(factors, layers, layer_costs(model, size_px), saved, kind, multiple)
    lean = copy.deepcopy(model)
    factorise(lean, ranks)
    for name, rank in ranks.items():
        made = lean.get_submodule(name)
        assert isinstance(made, FactorisedConv2d)
        inputs, size, outputs = layers[name].in_channels, layers[name].kernel_size[0], layers[name].out_channels
        made.column.weight.copy_(factors[name].column[:, :rank].T.reshape(rank, inputs, size, 1))
        made.row.weight.copy_(factors[name].row[:rank].reshape(rank, size, outputs).permute(2, 0, 1)[:, :, None])
    return lean.eval()
