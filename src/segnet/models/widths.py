"""Lean models: a model of `MODELS` whose layers have fewer channels than the paper gives them, or are two factors.

The model keeps its class and the names of its parameters; `column` and `row` in the place of a convolution are its
factors, layers of their own that may have fewer channels too. What differs from the paper stands in the attribute
`widths`, layer by layer; weights files store it in their card, and `create_model(widths=...)` builds the model from it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from segnet.errors import ConfigError, nearest
from segnet.nn.layers import FactorisedConv2d

Width = tuple[int, int] | tuple[int, int, int]
Widths = Mapping[str, Width]
"""(input, output) channels of layers by their name in the model, such as `encoder.stage1.0.conv`; of a layer in two
factors (input, output, channels between them)."""

_Layer = nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d | nn.PReLU


def layers_with_channels(model: nn.Module) -> dict[str, _Layer]:
    """The layers that have parameters for each channel, by name: convolutions, BN and PReLU of more than one value."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _Layer) and not (isinstance(module, nn.PReLU) and module.num_parameters == 1)
    }


def channels_of(layer: nn.Module) -> tuple[int, int]:
    """(input, output) channels of one of `layers_with_channels`."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return layer.in_channels, layer.out_channels
    count = layer.num_features if isinstance(layer, nn.BatchNorm2d) else layer.num_parameters
    return int(count), int(count)  # type: ignore[arg-type]


def is_depthwise(layer: nn.Module) -> bool:
    """Whether each output channel of a convolution comes from the input channel of its number alone."""
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels == layer.out_channels


def widths_of(model: nn.Module) -> dict[str, Width]:
    """What `keep_channels`, `factorise` and `set_widths` have recorded in a model; empty for the paper's model."""
    return dict(getattr(model, "widths", {}))


def set_widths(model: nn.Module, widths: Widths) -> None:
    """Gives layers fewer channels, in place: their first ones stay.

    Args:
        model: of `MODELS`, with all its channels or some of them.
        widths: of the layers to change; all layers on both sides of a map must agree, as those in a card do.

    Raises:
        ConfigError: no such layer, no channel at all, or more channels than the layer has. The model is then untouched.
    """
    layers = layers_with_channels(model)
    most = {name: channels_of(layer) for name, layer in layers.items()}
    ranks = {name: width[2] for name, width in widths.items() if len(width) == 3}
    for name, rank in ranks.items():
        _require_factorisable(layers.get(name), name)
        inputs, outputs = widths[name][:2]
        most |= {f"{name}.column": (inputs, rank), f"{name}.row": (rank, outputs)}
    for name, width in widths.items():
        inputs, outputs = width[:2]
        if name not in most:
            raise ConfigError(f"widths: {type(model).__name__} has no layer '{name}'; {nearest(name, layers)}")
        if not (1 <= inputs <= most[name][0] and 1 <= outputs <= most[name][1]) or width[-1] < 1:
            raise ConfigError(
                f"widths: {name}: expected 1 to {most[name][0]} input and 1 to {most[name][1]} output channels, got "
                f"{' and '.join(map(str, width))}"
            )
    kept = {name: (range(width[0]), range(width[1])) for name, width in widths.items()}
    keep_channels(model, {name: kept[name] for name in kept if name in layers})
    factorise(model, ranks)
    keep_channels(model, {name: kept[name] for name in kept if name not in layers})


def factorise(model: nn.Module, ranks: Mapping[str, int]) -> None:
    """Puts `FactorisedConv2d` with filters drawn at random in the place of convolutions, and records it.

    Args:
        model: of `MODELS`; changed in place.
        ranks: channels between the factors, by the name of the convolution.

    Raises:
        ConfigError: a layer that is no k x k convolution which keeps the size. The model is then untouched.
    """
    layers = layers_with_channels(model)
    for name in ranks:
        _require_factorisable(layers.get(name), name)
    recorded = widths_of(model)
    for name, rank in ranks.items():
        layer = layers[name]
        inputs, outputs = channels_of(layer)
        factors = FactorisedConv2d(inputs, outputs, layer.kernel_size[0], rank, bias=layer.bias is not None)  # type: ignore[arg-type, index]
        if layer.bias is not None:
            factors.row.bias = layer.bias  # type: ignore[assignment]
        parent, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(parent), own_name, factors.to(layer.weight.device))
        recorded[name] = (inputs, outputs, rank)
    if recorded:
        model.widths = recorded  # type: ignore[assignment] # a plain attribute, not a parameter


def is_factorisable(layer: nn.Module | None) -> bool:
    """Whether a layer is a k x k convolution, k at least 3, all channels to all, that keeps the size."""
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros":
        return False
    high, wide = layer.kernel_size
    plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    return plain and high == wide >= 3 and high % 2 == 1 and tuple(layer.padding) == (high // 2, high // 2)


def _require_factorisable(layer: nn.Module | None, name: str) -> None:
    if not is_factorisable(layer):
        raise ConfigError(f"widths: {name}: expected a k x k convolution that keeps the size, to be in two factors")


def keep_channels(model: nn.Module, kept: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> None:
    """Removes all but the given channels of layers, in place, and records the new widths.

    Args:
        model: of `MODELS`.
        kept: numbers of the input and of the output channels that stay, in their order, by layer. BN, PReLU and
            depthwise convolutions have one set of channels: both must be the same.
    """
    layers = layers_with_channels(model)
    recorded = widths_of(model)
    for name, (inputs, outputs) in kept.items():
        layer = layers[name]
        if (len(inputs), len(outputs)) == channels_of(layer):
            continue
        recorded[name] = (len(inputs), len(outputs))
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _narrow_convolution(layer, inputs, outputs)
        else:
            _select(layer, ("weight", "bias", "running_mean", "running_var"), 0, outputs)
            setattr(layer, "num_features" if isinstance(layer, nn.BatchNorm2d) else "num_parameters", len(outputs))
    if recorded:
        model.widths = recorded  # type: ignore[assignment] # a plain attribute, not a parameter


def _narrow_convolution(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    if is_depthwise(layer):
        layer.groups = len(outputs)
        _select(layer, ("weight", "bias"), 0, outputs)
    else:
        transposed = isinstance(layer, nn.ConvTranspose2d)  # its filters are (C_in, C_out, k, k)
        _select(layer, ("weight",), 0, inputs if transposed else outputs)
        _select(layer, ("weight",), 1, outputs if transposed else inputs)
        _select(layer, ("bias",), 0, outputs)
    layer.in_channels, layer.out_channels = len(inputs), len(outputs)


def _select(layer: nn.Module, names: Sequence[str], axis: int, kept: Sequence[int]) -> None:
    """Keeps some rows of those tensors that the layer has."""
    for name in names:
        tensor: Tensor | None = getattr(layer, name, None)
        if tensor is None:
            continue
        rows = tensor.detach().index_select(axis, torch.tensor(list(kept), device=tensor.device))
        if isinstance(tensor, nn.Parameter):
            setattr(layer, name, nn.Parameter(rows, requires_grad=tensor.requires_grad))
        else:
            setattr(layer, name, rows)
