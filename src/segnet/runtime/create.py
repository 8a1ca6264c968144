"""Creates the requested backend for a model, or raises an error that says why it is not available.

`auto` means `eager`, PyTorch's own operators: it starts at once on any device. Which backend is fastest depends on the
machine; `segnet tune` measures them and stores the result. A quantised file always runs on OpenVINO.
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
    """Creates the requested backend.

    Args:
        model: a model of `MODELS`; it is not changed.
        backend: `auto`, or a backend name.
        device: where `eager` and `compiled` run; the others run on the CPU only.
        precision: precision of the convolutions.
        kept: folder of this model alone, where a backend caches the converted model; None caches nothing.

    Raises:
        ConfigError: the backend is not installed, does not support the device or the precision, or is unknown.
    """
    if backend in ("auto", "eager"):
        return EagerBackend(model, device, precision)
    if backend == "compiled":
        return CompiledBackend(model, device, precision)
    if device.type != "cpu":
        raise ConfigError(f"backend {backend} runs on the CPU only, not on {device.type}; use device cpu")
    if backend == "openvino":
        return OpenVINOBackend(model, precision, kept=kept)
    if backend == "onnxruntime":
        if precision != "float32":
            raise ConfigError(f"backend onnxruntime does not support {precision} on the CPU; use precision float32")
        return ONNXRuntimeBackend(model)
    raise ConfigError(f"unknown backend '{backend}'; {nearest(backend, get_args(BackendName))}")
