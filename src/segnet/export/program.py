"""The model as an `ExportedProgram` of PyTorch, from which most targets convert."""

import operator
from collections import Counter

import torch
from torch import fx
from torch.export import ExportedProgram

from segnet.export.record import Request
from segnet.runtime.graph import InferenceModel, exported, inference_model
from segnet.runtime.quiet import quiet


def exported_program(request: Request, model: InferenceModel | None = None) -> ExportedProgram:
    """Exports the model's inference form, or `model` if given, as a program with one input named `image`."""
    with quiet():
        return exported(model or inference_model(request.model, answer=request.answer), request.size_px)


def drop_aliases(model: fx.GraphModule) -> None:
    """Removes `alias` operators in place: some converters do not support them."""
    for node in model.graph.find_nodes(op="call_function", target=torch.ops.aten.alias.default):
        node.replace_all_uses_with(node.args[0])
        model.graph.erase_node(node)
    model.recompile()


def count_operators(graph: fx.Graph) -> dict[str, int]:
    """Counts the operators of a graph by their name without overload, such as `conv2d`."""
    calls = [node.target for node in graph.nodes if node.op == "call_function" and node.target is not operator.getitem]
    return dict(Counter(map(_operator_name, calls)))


def _operator_name(target: object) -> str:
    schema = getattr(target, "_schema", None)
    name: str = schema.name if schema else getattr(target, "__name__", str(target))
    return name.removeprefix("aten::").removeprefix("dim_order_ops::")  # PyTorch's own and ExecuTorch's own
