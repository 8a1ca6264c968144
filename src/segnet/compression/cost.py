"""What a model costs in multiplications and parameters, layer by layer, for any number of channels of its layers."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from segnet.models.widths import channels_of, is_depthwise, layers_with_channels
from segnet.nn.normalisation import normalisation_of


@dataclass(frozen=True)
class LayerCost:
    """The cost of a layer as a function of its channels.

    Attributes:
        places: multiplications for each pair of an input and an output channel: output pixels (of a transposed
            convolution, input pixels) times filter pixels; 0 where the layer is no convolution.
        filter_px: pixels of a filter; 0 where the layer is no convolution.
        per_output: parameters of each output channel besides the filters.
        depthwise: one input channel for each output channel.
    """

    places: int
    filter_px: int
    per_output: int
    depthwise: bool

    def macs(self, inputs: int, outputs: int) -> int:
        """Multiplications with addition for one image."""
        return self.places * outputs * (1 if self.depthwise else inputs)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Filters, biases, BN's scale and shift, PReLU's slopes."""
        return self.filter_px * outputs * (1 if self.depthwise else inputs) + self.per_output * outputs


def layer_costs(model: nn.Module, size_px: tuple[int, int]) -> dict[str, LayerCost]:
    """The cost of each layer of a model for one image, found from the sizes of its maps without computing them.

    Args:
        model: of `MODELS`; it is not changed.
        size_px: (height, width) of the image.
    """
    shapes = copy.deepcopy(model).to("meta").eval()
    layers = layers_with_channels(shapes)
    pixels: dict[str, int] = dict.fromkeys(layers, 0)

    def count(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        pixels[name] += seen.shape[2] * seen.shape[3]

    for name, layer in layers.items():
        layer.register_forward_hook(partial(count, name))
    with torch.no_grad():
        shapes(torch.zeros(1, normalisation_of(shapes).in_channels, *size_px, device="meta"))
    costs = {}
    for name, layer in layers.items():
        filter_px = 0
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            filter_px = layer.kernel_size[0] * layer.kernel_size[1]
        vectors = [p for p in layer.parameters(recurse=False) if p.dim() == 1]
        costs[name] = LayerCost(pixels[name] * filter_px, filter_px, len(vectors), is_depthwise(layer))
    return costs


def total_macs(costs: Mapping[str, LayerCost], widths: Mapping[str, tuple[int, int]]) -> int:
    """Multiplications with addition of all convolutions for one image, with (input, output) channels by layer."""
    return sum(cost.macs(*widths[name]) for name, cost in costs.items())


def total_parameters(costs: Mapping[str, LayerCost], widths: Mapping[str, tuple[int, int]]) -> int:
    """Parameters of all layers, with (input, output) channels by layer."""
    return sum(cost.parameters(*widths[name]) for name, cost in costs.items())


def macs_of(model: nn.Module, size_px: tuple[int, int]) -> int:
    """Multiplications with addition of a model's convolutions for one image of (height, width) `size_px`."""
    return total_macs(layer_costs(model, size_px), own_widths(model))


def own_widths(model: nn.Module) -> dict[str, tuple[int, int]]:
    """(input, output) channels that the layers of a model have, all of them, by name."""
    return {name: channels_of(layer) for name, layer in layers_with_channels(model).items()}
