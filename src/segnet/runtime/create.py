"""A model on the backend that was asked for, or a line that says why that cannot be.

`auto` is PyTorch's own (`eager`): it answers at once, on any device. What is faster still differs from machine to
machine; `segnet tune` tries it, and `engine.fastest` remembers. A quantised file always runs on OpenVINO.
"""

from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from segnet.errors import ConfigError, nearest
from segnet.runtime.backend import Backend, BackendName
from segnet.runtime.compiled import CompiledBackend
from segnet.runtime.eager import EagerBackend
from segnet.runtime.onnxruntime import ONNXRuntimeBackend
from segnet.runtime.openvino import OpenVINOBackend


def choose_backend(
    model: nn.Module,
    backend: BackendName,
    device: torch.device,
    precision: Literal["float32", "bfloat16", "float16"],
    *,
    kept: Path | None = None,
) -> Backend:
    """A model on the backend that was asked for.

    Args:
        model: a model of `MODELS`; stays as it is.
        backend: `auto`, or a name.
        device: where `eager` and `compiled` run; the others know the processor only.
        precision: of the convolutions.
        kept: folder of this model alone, for what a backend made of it; None keeps nothing.

    Raises:
        ConfigError: the backend is not installed, does not know the device or the precision, or has an unknown name.
    """
    if backend in ("auto", "eager"):
        return EagerBackend(model, device, precision)
    if backend == "compiled":
        return CompiledBackend(model, device, precision)
    if device.type != "cpu":
        raise ConfigError(f"backend {backend} runs on the processor, not on {device.type}; use device cpu")
    if backend == "openvino":
        return OpenVINOBackend(model, precision, kept=kept)
    if backend == "onnxruntime":
        if precision != "float32":
            raise ConfigError(f"backend onnxruntime has no {precision} on the processor; use precision float32")
        return ONNXRuntimeBackend(model)
    raise ConfigError(f"unknown backend '{backend}'; {nearest(backend, get_args(BackendName))}")
