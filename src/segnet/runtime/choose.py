"""Which backend and which precision: one decision, from what was asked for and what is there.

`auto` is PyTorch's own (`eager`): it answers at once, on any device, and in bfloat16 with strips it is close to
OpenVINO on processors without AMX. OpenVINO wins per picture, above all in int8, but converts a net for seconds first:
ask for it where many pictures come. A quantised file always runs on OpenVINO. `segnet benchmark latency` measures all.
"""

from typing import Literal

import torch
from torch import nn

from segnet.errors import ConfigError
from segnet.runtime.backend import Backend, BackendName
from segnet.runtime.eager import EagerBackend
from segnet.runtime.onnxruntime import ONNXRuntimeBackend
from segnet.runtime.openvino import OpenVINOBackend


def choose_backend(
    model: nn.Module,
    backend: BackendName,
    device: torch.device,
    precision: Literal["float32", "bfloat16", "float16"],
) -> Backend:
    """A net on the backend that was asked for.

    Args:
        model: a net of `MODELS`; stays as it is.
        backend: `auto`, or a name.
        device: where `eager` runs; the others know the processor only.
        precision: of the convolutions.

    Raises:
        ConfigError: the backend is not installed, does not know the device or the precision, or has an unknown name.
    """
    if backend in ("auto", "eager"):
        return EagerBackend(model, device, precision)
    if device.type != "cpu":
        raise ConfigError(f"backend {backend} runs on the processor, not on {device.type}; use device cpu")
    if backend == "openvino":
        return OpenVINOBackend(model, precision)
    if backend == "onnxruntime":
        if precision != "float32":
            raise ConfigError(f"backend onnxruntime has no {precision} on the processor; use precision float32")
        return ONNXRuntimeBackend(model)
    raise ConfigError(f"unknown backend '{backend}'; known: auto, eager, openvino, onnxruntime")
