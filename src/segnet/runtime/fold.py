"""A model without what only training needs: dropout gone, batch normalisation multiplied into the convolutions.

In evaluation mode BN is a scale and a shift per channel, so `BN(conv(x))` is a convolution with other numbers. The same
holds where the map is cropped between the two.
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
    """Keeps the input normalisation as one module: it has a precision of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name == "normalisation" or super().is_leaf_module(m, module_qualified_name)


def traced(model: nn.Module) -> fx.GraphModule:
    """A frozen copy of a model as a graph of its operators in their order.

    The input normalisation is one module of it. Pooling and unpooling stand in the graph as calls of
    `segnet.pooling.max_pool` and `max_unpool`, which `replace_calls` can exchange.

    Args:
        model: a model of `MODELS`; stays as it is.

    Returns:
        The model in eval mode, float32. Its parameters are its own, and want no gradient.
    """
    copied = copy.deepcopy(model).float().eval().requires_grad_(False)
    tracer = _Tracer(autowrap_functions=(pooling.max_pool, pooling.max_unpool))
    with tracing():
        return fx.GraphModule(copied, tracer.trace(copied), type(model).__name__)


def folded(model: nn.Module) -> fx.GraphModule:
    """As `traced`, without dropout, and with every BN that follows a convolution multiplied into it.

    Args:
        model: a model of `MODELS`; stays as it is.

    Returns:
        The same function within rounding.
    """
    folded_model = traced(model)
    node: Any  # its target and arguments are of any type by their nature
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
    """Makes the model call other functions of the same arguments, in place."""
    for old, new in exchange.items():
        for node in folded_model.graph.find_nodes(op="call_function", target=old):
            node.target = new
    folded_model.recompile()


def _convolution_before(norm: Any, folded_model: fx.GraphModule) -> Any:
    """The node of the convolution whose output, cropped or not, this BN alone takes; None where there is no such."""
    node = norm.args[0]
    while node.target is operator.getitem and len(node.users) == 1 and _keeps_channels(node.args[1]):
        node = node.args[0]
    if node.op != "call_module" or len(node.users) > 1:
        return None
    return node if isinstance(folded_model.get_submodule(node.target), nn.Conv2d | nn.ConvTranspose2d) else None


def _keeps_channels(key: Any) -> bool:
    return isinstance(key, tuple) and key[:2] == (slice(None), slice(None))
