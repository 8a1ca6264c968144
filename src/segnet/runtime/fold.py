"""Removes what only training needs: drops dropout and folds batch normalisation into the convolutions.

In evaluation mode BN is a scale and a shift per channel, so `BN(conv(x))` is a convolution with other weights. The same
holds where the feature map is cropped between the two.
"""

import copy
import operator
from collections.abc import Callable
from typing import Any

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segnet import pooling
from segnet.runtime.tracing import Tracer, tracing

_NOTHING_TO_DO = (nn.Dropout, nn.Dropout2d, nn.Identity)


class _Tracer(Tracer):
    """Keeps the input normalisation as one module, because it has its own precision."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name == "normalisation" or super().is_leaf_module(m, module_qualified_name)


def traced(model: nn.Module) -> fx.GraphModule:
    """Returns a frozen copy of a model as an FX graph.

    The input normalisation is one module of the graph. Pooling and unpooling are calls of `segnet.pooling.max_pool` and
    `max_unpool`, which `replace_calls` can replace.

    Args:
        model: a model of `MODELS`; it is not changed.

    Returns:
        The model in eval mode, float32. Its parameters are copies and need no gradient.
    """
    copied = copy.deepcopy(model).float().eval().requires_grad_(False)
    tracer = _Tracer(autowrap_functions=(pooling.max_pool, pooling.max_unpool))
    with tracing():
        return fx.GraphModule(copied, tracer.trace(copied), type(model).__name__)


def folded(model: nn.Module) -> fx.GraphModule:
    """As `traced`, without dropout and with every BN that follows a convolution folded into it.

    Args:
        model: a model of `MODELS`; it is not changed.

    Returns:
        The same function up to rounding.
    """
    folded_model = traced(model)
    node: Any  # node targets and arguments can have any type
    for node in folded_model.graph.find_nodes(op="call_module"):
        module = folded_model.get_submodule(node.target)
        if isinstance(module, nn.BatchNorm2d) and (source := _convolution_before(node, folded_model)):
            convolution: Any = folded_model.get_submodule(source.target)
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            folded_model.set_submodule(source.target, fuse_conv_bn_eval(convolution, module, transpose=transposed))
        elif not isinstance(module, _NOTHING_TO_DO):
            continue
        node.replace_all_uses_with(node.args[0])
        folded_model.graph.erase_node(node)
    folded_model.delete_all_unused_submodules()
    folded_model.recompile()
    return folded_model


def replace_calls(folded_model: fx.GraphModule, exchange: dict[Callable[..., Any], Callable[..., Any]]) -> None:
    """Replaces functions that the graph calls by others with the same arguments, in place."""
    for old, new in exchange.items():
        for node in folded_model.graph.find_nodes(op="call_function", target=old):
            node.target = new
    folded_model.recompile()


def _convolution_before(norm: Any, folded_model: fx.GraphModule) -> Any:
    """Returns the convolution node whose output, cropped or not, only this BN uses; None if there is none."""
    node = norm.args[0]
    while node.target is operator.getitem and len(node.users) == 1 and _keeps_channels(node.args[1]):
        node = node.args[0]
    if node.op != "call_module" or len(node.users) > 1:
        return None
    return node if isinstance(folded_model.get_submodule(node.target), nn.Conv2d | nn.ConvTranspose2d) else None


def _keeps_channels(key: Any) -> bool:
    return isinstance(key, tuple) and key[:2] == (slice(None), slice(None))
