"""Which channels of a model belong together: those that can only be removed together.

The model itself is followed, operator by operator. Every channel of every map has a number; where two maps must have
the same channels their numbers become one: an addition, a depthwise convolution, and above all the pooling indices. The
position of a maximum is kept channel by channel, so a channel of the map that an encoder stage pools, and the channel
of the decoder's map that is unpooled with it, are one. What remains apart are the groups.

Source:
    Fang et al.: DepGraph: Towards any structural pruning, CVPR 2023, for the idea to derive groups from the graph.
"""

import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from segnet import pooling
from segnet.errors import ConfigError
from segnet.models.widths import channels_of, is_depthwise, layers_with_channels
from segnet.runtime.fold import traced

_Map = list[int]  # the number of each channel of a feature map
_KEEPING_MODULES = (nn.ReLU, nn.Tanh, nn.Dropout, nn.Dropout2d, nn.Identity, nn.MaxPool2d, nn.AvgPool2d, nn.PReLU)
_KEEPING_FUNCTIONS = (F.relu, F.interpolate, torch.relu, torch.tanh)
_UNITING_FUNCTIONS = (pooling.max_unpool, operator.add, operator.iadd, torch.add)  # two maps of the same channels


@dataclass(frozen=True)
class LayerChannels:
    """The group of each channel of a layer.

    Attributes:
        inputs: group of each input channel.
        outputs: group of each output channel; of BN, PReLU and depthwise convolutions those of the inputs.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class ChannelGroups:
    """The groups of a model.

    Attributes:
        layers: convolutions, BN and PReLU by name, as in `layers_with_channels`.
        blocks: groups that can be removed, those that the same layers output together: what a width is the number of.
            The image's channels and the class scores are in none.
    """

    layers: Mapping[str, LayerChannels]
    blocks: tuple[tuple[int, ...], ...]

    def kept(self, removed: frozenset[int] | set[int]) -> dict[str, tuple[list[int], list[int]]]:
        """What `keep_channels` takes, when these groups are removed."""
        return {
            name: (
                [i for i, group in enumerate(layer.inputs) if group not in removed],
                [i for i, group in enumerate(layer.outputs) if group not in removed],
            )
            for name, layer in self.layers.items()
        }


def find_groups(model: nn.Module, class_layers: Collection[str] = ()) -> ChannelGroups:
    """Follows a model's channels and finds the groups.

    Args:
        model: of `MODELS`, full or lean; it is not changed.
        class_layers: names of further layers whose outputs are one for each class, and so stay; the last one is known.

    Raises:
        ConfigError: an operator of which it is not known what it does to channels, or no channel that could be removed.
    """
    graph = traced(model)
    follower = _Follower(graph)
    follower.follow()
    root = follower.root
    layers = {
        name: LayerChannels(tuple(map(root, inputs)), tuple(map(root, outputs)))
        for name, (inputs, outputs) in follower.layers.items()
    }
    fixed = {root(channel) for channel in follower.fixed}
    fixed |= {group for name in class_layers for group in layers[name].outputs}
    sources: dict[int, list[str]] = {}
    for name, layer in layers.items():
        if isinstance(graph.get_submodule(name), nn.Conv2d | nn.ConvTranspose2d):
            for group in layer.outputs:
                sources.setdefault(group, []).append(name)
    blocks: dict[tuple[str, ...], list[int]] = {}
    for group, names in sources.items():
        if group not in fixed:
            blocks.setdefault(tuple(names), []).append(group)
    if not blocks:
        raise ConfigError(
            f"{type(model).__name__} has no channels that could be removed: all of them are those of the image or of "
            "the classes"
        )
    return ChannelGroups(layers, tuple(tuple(block) for block in blocks.values()))


class _Follower:
    """Walks through a graph; `layers` and `fixed` then hold channel numbers, `root` tells which of them are one."""

    def __init__(self, graph: fx.GraphModule) -> None:
        self._graph = graph
        self._known = layers_with_channels(graph)
        self._parents: list[int] = []
        self._maps: dict[fx.Node, Any] = {}  # a map; (map, map) of max_pool; None for sizes and other numbers
        self.layers: dict[str, tuple[_Map, _Map]] = {}
        self.fixed: _Map = []

    def root(self, channel: int) -> int:
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel

    def follow(self) -> None:
        for node in self._graph.graph.nodes:
            if node.op == "placeholder":
                self._maps[node] = None  # the image; its channels are counted by the normalisation
            elif node.op == "call_module":
                self._maps[node] = self._module(node, self._graph.get_submodule(node.target))
            elif node.op == "call_function":
                self._maps[node] = self._function(node)
            elif node.op == "output":
                self.fixed += self._map(node.args[0], node)
            else:
                raise _unknown(node)

    def _new(self, count: int) -> _Map:
        first = len(self._parents)
        self._parents += range(first, first + count)
        return list(range(first, first + count))

    def _unite(self, first: _Map, second: _Map, node: fx.Node) -> _Map:
        if len(first) != len(second):
            raise ConfigError(f"{node.name}: maps of {len(first)} and {len(second)} channels meet; expected as many")
        for a, b in zip(first, second, strict=True):
            self._parents[self.root(b)] = self.root(a)
        return first

    def _map(self, argument: Any, node: fx.Node) -> _Map:
        found = self._maps.get(argument) if isinstance(argument, fx.Node) else None
        if not isinstance(found, list):
            raise _unknown(node)
        return found

    def _module(self, node: fx.Node, module: nn.Module) -> _Map:
        name = str(node.target)
        if name == "normalisation":
            image = self._new(int(module.in_channels))  # type: ignore[arg-type]
            self.fixed += image
            return image
        inputs = self._map(node.args[0], node)
        if name in self._known:
            return self._layer(name, module, inputs, node)
        if isinstance(module, _KEEPING_MODULES):
            return inputs
        raise _unknown(node)

    def _layer(self, name: str, module: nn.Module, inputs: _Map, node: fx.Node) -> _Map:
        has_own = isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not is_depthwise(module)
        outputs = self._new(channels_of(module)[1]) if has_own else inputs
        if has_own and module.groups != 1:
            self.fixed += [*inputs, *outputs]  # groups of several channels: their bounds would move
        if name in self.layers:  # called a second time
            self._unite(self.layers[name][0], inputs, node)
            return self._unite(self.layers[name][1], outputs, node)
        self.layers[name] = (inputs, outputs)
        return outputs

    def _function(self, node: fx.Node) -> Any:
        function, arguments = node.target, node.args
        maps = [argument for argument in _nodes_in(arguments) if self._maps.get(argument) is not None]
        if not maps or function is getattr:
            return None  # sizes, and what is computed from them
        if function is pooling.max_pool:
            features = self._map(arguments[0], node)
            return features, features  # the map, its indices
        if function in _UNITING_FUNCTIONS:
            return self._unite(self._map(arguments[0], node), self._map(arguments[1], node), node)
        if function in _KEEPING_FUNCTIONS:
            return self._map(arguments[0], node)
        by_hand = {operator.getitem: self._item, torch.cat: self._concatenated, F.pad: self._padded}
        if function not in by_hand:
            raise _unknown(node)
        return by_hand[function](node)

    def _item(self, node: fx.Node) -> Any:
        source, key = self._maps[node.args[0]], node.args[1]  # type: ignore[index]
        if isinstance(source, tuple) and isinstance(key, int):
            return source[key]
        if isinstance(source, list) and isinstance(key, tuple) and key[:2] == (slice(None), slice(None)):
            return source  # a crop
        if isinstance(source, list) and key == "size":
            return None
        raise _unknown(node)

    def _concatenated(self, node: fx.Node) -> _Map:
        maps = [self._map(argument, node) for argument in node.args[0]]  # type: ignore[union-attr]
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if axis == 1:
            return [channel for one in maps for channel in one]
        for other in maps[1:]:
            self._unite(maps[0], other, node)
        return maps[0]

    def _padded(self, node: fx.Node) -> _Map:
        features, sides = self._map(node.args[0], node), node.args[1]
        if not isinstance(sides, Sequence) or len(sides) <= 4:
            return features
        before, after = sides[4:6]
        if before != 0 or not isinstance(after, int):
            raise _unknown(node)
        return [*features, *self._new(after)]


def _nodes_in(arguments: Any) -> list[fx.Node]:
    if isinstance(arguments, fx.Node):
        return [arguments]
    if isinstance(arguments, slice):
        return _nodes_in((arguments.start, arguments.stop, arguments.step))
    return [node for one in arguments for node in _nodes_in(one)] if isinstance(arguments, tuple | list) else []


def _unknown(node: fx.Node) -> ConfigError:
    what = getattr(node.target, "__name__", str(node.target))
    return ConfigError(
        f"{node.name}: it is not known what '{what}' does to channels, so this model cannot be pruned; "
        "a model of segnet.models.MODELS can"
    )
