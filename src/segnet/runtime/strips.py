"""Stages in strips: convolutions with pooling, or unpooling with convolutions, computed band by band.

    encoder stage    features -> convolutions -> pooling            only the pooled map exists as a whole
    decoder stage    features, indices -> unpooling -> convolutions -> (argmax)
                                                                    neither the sparse map nor those between do

A band of output rows is computed from the input rows in its receptive field (band and halo), so the results equal those
of whole maps up to the order of sums. Halo rows are computed twice where a stage has several convolutions; in exchange
a band stays in the CPU cache. Only the input, the output and one band are in memory at once.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from segnet.pooling import PoolingIndices, max_pool, max_unpool
from segnet.runtime.graph import Answer
from segnet.runtime.stopping import go_on
from segnet.runtime.winograd import Winograd

BAND_BYTES = 2**23  # costs no time; smaller bands repack filters too often
SMALL_BAND_BYTES = 3 * 2**18


class Layers(nn.Module):
    """Convolutions that keep the size, with or without ReLU, computed for some rows.

    Args:
        modules: `nn.Conv2d` and `nn.ReLU` in order, a convolution first.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(module for module in modules if isinstance(module, nn.Conv2d))
        followers = [*modules[1:], None]
        self.relu = [
            isinstance(follower, nn.ReLU)
            for module, follower in zip(modules, followers, strict=True)
            if isinstance(module, nn.Conv2d)
        ]

    def spans(self, top: int, bottom: int, height: int) -> list[tuple[int, int]]:
        """Returns the row range of each layer's input, and of the last output, for output rows `top` to `bottom`."""
        spans = [(top, bottom)]
        convolution: Any
        for convolution in reversed(self.convolutions):
            reach = convolution.padding[0]
            spans.append((max(spans[-1][0] - reach, 0), min(spans[-1][1] + reach, height)))
        return spans[::-1]

    def forward(self, features: Tensor, spans: list[tuple[int, int]]) -> Tensor:
        """The first span's rows (N, C, rows, W) -> the last span's rows (N, C', rows', W)."""
        convolution: Any
        layers = zip(self.convolutions, self.relu, spans, spans[1:], strict=False)
        for convolution, relu, (first, last), (top, bottom) in layers:
            above = convolution.padding[0] - (top - first)  # rows outside the image are zeros
            below = convolution.padding[0] - (last - bottom)
            if above != below:  # at the image's border; conv2d can only pad both sides alike
                features = F.pad(features, (0, 0, above, below))
                above = 0
            padding = (above, convolution.padding[1])
            if isinstance(convolution, Winograd):
                features = convolution.padded(features, padding)
            else:
                features = F.conv2d(
                    features, convolution.weight, convolution.bias, 1, padding, convolution.dilation, convolution.groups
                )
            if relu:
                features = features.relu_()  # in place: nothing else holds this map
        return features

    def bands(self, features: Tensor, size: tuple[int, int], band_bytes: int) -> Iterator[tuple[int, int]]:
        """Yields output rows (top, bottom) of bands of even height, whose largest map takes about `band_bytes`."""
        channels = max(max(weight.shape[:2]) for weight in self.parameters() if weight.dim() > 1)
        row_bytes = features.shape[0] * channels * size[1] * features.element_size()
        rows = max(2, band_bytes // row_bytes // 2 * 2)  # even: no pooling window spans two bands
        for top in range(0, size[0], rows):
            go_on()
            yield top, min(top + rows, size[0])


class PoolingStrips(nn.Module):
    """An encoder stage: convolutions and max pooling.

    Args:
        modules: as for `Layers`.
        band_bytes: size of the largest feature map of a band.
    """

    def __init__(self, modules: Sequence[nn.Module], band_bytes: int) -> None:
        super().__init__()
        self.layers = Layers(modules)
        self.band_bytes = band_bytes

    def forward(self, features: Tensor) -> tuple[Tensor, PoolingIndices]:
        """(N, C, H, W) -> (N, C', ceil(H/2), ceil(W/2)) and its indices."""
        size = (features.shape[2], features.shape[3])
        whole: list[Tensor] = []
        channels = 0
        for top, bottom in self.layers.bands(features, size, self.band_bytes):
            spans = self.layers.spans(top, bottom, size[0])
            pooled, indices = max_pool(self.layers(features[:, :, slice(*spans[0])], spans))
            channels = indices.channels
            _put(whole, (pooled, indices.packed), top // 2, -(-size[0] // 2))
        return whole[0], PoolingIndices(whole[1], channels, size)


class UnpoolingStrips(nn.Module):
    """A decoder stage: unpooling and convolutions, and the argmax if it is the last stage.

    Args:
        modules: as for `Layers`.
        band_bytes: size of the largest feature map of a band.
        answer: `classes` returns class ids instead of the output of the last convolution.
    """

    def __init__(self, modules: Sequence[nn.Module], band_bytes: int, answer: Answer = "logits") -> None:
        super().__init__()
        self.layers = Layers(modules)
        self.band_bytes = band_bytes
        self.answer = answer

    def forward(self, features: Tensor, indices: PoolingIndices) -> Tensor:
        """(N, C, h, w) and the indices -> (N, C', H, W), or class ids uint8 (N, H, W)."""
        height, width = indices.size
        whole: list[Tensor] = []
        for top, bottom in self.layers.bands(features, indices.size, self.band_bytes):
            spans = self.layers.spans(top, bottom, height)
            first, last = spans[0]
            windows = slice(first // 2, -(-last // 2))
            unpooled_rows = min(2 * windows.stop, height) - 2 * windows.start
            part = PoolingIndices(indices.packed[:, :, windows], indices.channels, (unpooled_rows, width))
            sparse = max_unpool(features[:, :, windows], part)
            band = self.layers(sparse[:, :, first - 2 * windows.start : last - 2 * windows.start], spans)
            del sparse
            if self.answer == "classes":
                band = band.argmax(1, keepdim=True).to(torch.uint8)
            _put(whole, (band,), top, height)
        return whole[0].squeeze(1) if self.answer == "classes" else whole[0]


def _put(whole: list[Tensor], parts: Sequence[Tensor], top: int, height: int) -> None:
    """Writes bands (N, C, rows, W) into whole maps (N, C, `height`, W), which the first band allocates."""
    if not whole and parts[0].shape[2] == height:  # a single band is the whole map: no copy
        whole.extend(parts)
        return
    if not whole:
        for part in parts:
            shape = (part.shape[0], part.shape[1], height, part.shape[3])
            whole.append(torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=torch.channels_last))
    for target, part in zip(whole, parts, strict=True):
        target[:, :, top : top + part.shape[2]] = part


# ------------------------------------------------------------------------------------------------ rewriting a model


def in_strips(model: fx.GraphModule, answer: Answer, band_bytes: int = BAND_BYTES) -> fx.GraphModule:
    """Returns the model with every suitable stage computed in strips.

    A suitable stage is a chain of size-keeping convolutions and ReLUs before a pooling or after an unpooling whose
    intermediate maps nothing else uses. The other parts of a model are not changed.

    Args:
        model: from `folded`; it is not changed, its modules are shared.
        answer: `logits`, or `classes`: uint8 (N, H, W).
        band_bytes: size of the largest feature map of a band.
    """
    # a copy of the graph: the caller's model may be rewritten again for another output
    graph = fx.Graph()
    graph.output(graph.graph_copy(model.graph, {}))
    model = fx.GraphModule(model, graph, type(model).__name__)
    node: Any
    for node in model.graph.find_nodes(op="call_function", target=max_pool):
        chain = _convolutions(model, node.args[0], lambda n: n.args[0])[::-1]
        # `Layers` starts with a convolution; a ReLU in front stays in the graph
        while chain and isinstance(model.get_submodule(chain[0].target), nn.ReLU):
            chain = chain[1:]
        if chain:
            strips = PoolingStrips([model.get_submodule(n.target) for n in chain], band_bytes)
            _replace(model, [*chain, node], strips, (chain[0].args[0],))
    (output,) = model.graph.find_nodes(op="output")
    for node in model.graph.find_nodes(op="call_function", target=max_unpool):
        chain = _convolutions(model, _only_user(node), _only_user)
        if chain and not isinstance(model.get_submodule(chain[0].target), nn.ReLU):
            gives: Answer = answer if _only_user(chain[-1]) is output else "logits"
            modules = [model.get_submodule(n.target) for n in chain]
            _replace(model, [node, *chain], UnpoolingStrips(modules, band_bytes, gives), node.args)
    last = output.args[0]
    if answer == "classes" and not (last.op == "call_module" and _gives_classes(model.get_submodule(last.target))):
        with model.graph.inserting_before(output):
            model.graph.output(model.graph.call_function(_classes, (last,)))
        model.graph.erase_node(output)
    model.delete_all_unused_submodules()
    model.recompile()
    return model


def _gives_classes(module: nn.Module) -> bool:
    return isinstance(module, UnpoolingStrips) and module.answer == "classes"


def _classes(logits: Tensor) -> Tensor:
    return logits.argmax(1).to(torch.uint8)


def _only_user(node: Any) -> Any:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _convolutions(model: fx.GraphModule, node: Any, step: Callable[[Any], Any]) -> list[Any]:
    """Returns the chain of size-keeping convolutions and ReLUs from `node` on whose outputs nothing else uses."""
    found = []
    while node is not None and node.op == "call_module" and len(node.users) == 1:
        if not isinstance(model.get_submodule(node.target), nn.ReLU) and not _keeps_size(
            model.get_submodule(node.target)
        ):
            break
        found.append(node)
        node = step(node)
    return found


def _keeps_size(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or module.stride != (1, 1) or module.padding_mode != "zeros":
        return False
    reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    return [2 * int(p) for p in module.padding] == reach


def _replace(model: fx.GraphModule, nodes: list[Any], module: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Replaces consecutive nodes by one module."""
    name = f"{nodes[0].name}_strips"
    model.add_submodule(name, module)
    with model.graph.inserting_before(nodes[-1]):
        nodes[-1].replace_all_uses_with(model.graph.call_module(name, arguments))
    for node in reversed(nodes):
        model.graph.erase_node(node)
