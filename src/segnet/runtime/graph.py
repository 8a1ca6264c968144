"""Rewrites any model of `MODELS` for runtimes and export formats.

    image -> normalisation -> convolutions (BN folded in), pooling by ranks, ... -> logits -> (argmax) -> class ids

It uses plain operators only, at any size: no index tensor, scatter, gather, custom operator or in-place operation.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from segnet import pooling
from segnet.errors import ConfigError, nearest
from segnet.runtime import ranks
from segnet.runtime.fold import folded, replace_calls
from segnet.runtime.tracing import Tracer, tracing

Answer = Literal["logits", "classes"]


class InferenceModel(nn.Module):
    """A model and the kind of output to return.

    Args:
        graph_model: (N, C, H, W) in [0, 1] -> logits (N, K, H, W).
        answer: `logits` or `classes`.
        in_channels: C of the image.
    """

    def __init__(self, graph_model: nn.Module, answer: Answer, in_channels: int = 3) -> None:
        super().__init__()
        self.model = graph_model
        self.answer = answer
        self.in_channels = in_channels

    def forward(self, image: Tensor) -> Tensor:
        """Returns the output for a batch of images.

        Args:
            image: (N, C, H, W), floating in [0, 1] or uint8; any size from 1x1.

        Returns:
            Logits (N, K, H, W), or class ids uint8 (N, H, W); the first class wins ties.
        """
        if image.dtype == torch.uint8:
            image = image.float() / 255
        logits: Tensor = self.model(image)
        return logits if self.answer == "logits" else logits.argmax(1).to(torch.uint8)


def inference_model(model: nn.Module, *, answer: Answer = "logits") -> InferenceModel:
    """Returns a frozen copy of a model, ready for `torch.export` with fixed or dynamic height and width.

    Args:
        model: a model of `MODELS`; it is not changed.
        answer: `logits`, float32; or `classes`, the argmax inside the graph, uint8.

    Returns:
        The model in eval mode, float32, on its device; equal to `model` in eval mode within float32 rounding.

    Raises:
        ConfigError: unknown output.

    Example:
        >>> program = exported(inference_model(model, answer="classes"), size_px=(360, 480))
    """
    if answer not in get_args(Answer):
        raise ConfigError(f"unknown answer '{answer}'; {nearest(answer, get_args(Answer))}")
    graph_model = folded(model)
    replace_calls(graph_model, {pooling.max_pool: ranks.max_pool, pooling.max_unpool: ranks.max_unpool})
    for module in graph_model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # in place on a cropped map it would become a scatter
    normalisation = graph_model.get_submodule("normalisation")
    with tracing():
        graph_model.normalisation = _without_flip(fx.GraphModule(normalisation, Tracer().trace(normalisation)))
    in_channels = getattr(model.get_submodule("normalisation"), "in_channels", 3)  # other packages' models are RGB
    return InferenceModel(graph_model, answer, in_channels).eval()


def exported(
    graph_model: InferenceModel, size_px: tuple[int, int] | None, dtype: torch.dtype = torch.float32
) -> ExportedProgram:
    """Exports the model with `torch.export` for a batch of one image; the weights are not copied.

    Args:
        graph_model: from `inference_model`.
        size_px: fixed (height, width); None keeps both dynamic, for images of two pixels or more.
        dtype: image type, floating or uint8.
    """
    image = torch.zeros(1, graph_model.in_channels, *(size_px or (45, 61)), dtype=dtype, device="cpu")
    open_axes = None if size_px else ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    # without this, a slice that crops nothing at the traced size would be removed for all sizes
    oblivious = _config.patch(backed_size_oblivious=size_px is None)  # type: ignore[attr-defined]
    with tracing(), torch.no_grad(), oblivious:
        return torch.export.export(graph_model, (image,), dynamic_shapes=open_axes)


def _without_flip(graph_model: fx.GraphModule) -> fx.GraphModule:
    """Replaces `flip` (RGB to BGR) by slices, because `flip` becomes a gather in some formats."""
    for node in list(graph_model.graph.find_nodes(op="call_method", target="flip")):
        with graph_model.graph.inserting_before(node):
            node.replace_all_uses_with(graph_model.graph.call_function(_reversed_channels, (node.args[0],)))
        graph_model.graph.erase_node(node)
    graph_model.recompile()
    return graph_model


def _reversed_channels(image: Tensor) -> Tensor:
    return torch.cat(image.split(1, dim=1)[::-1], dim=1)
