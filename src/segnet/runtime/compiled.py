"""PyTorch compiled with Inductor: packed filters, ReLU fused into convolutions, pooling in one pass.

A model is compiled once per image size, which takes up to a minute; the most recent sizes stay compiled. Inductor
caches its code on disk, so the same model and size start faster the next time. On a GPU pooling and unpooling are
fused with neighbouring operators, and all kernels of an image are launched together as one CUDA graph.
"""

import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._triton import has_triton

from segnet.errors import ConfigError
from segnet.runtime.backend import Precision
from segnet.runtime.fold import folded
from segnet.runtime.graph import Answer
from segnet.runtime.precision import in_precision
from segnet.runtime.strips import in_strips

_SIZES_KEPT = 4


class CompiledBackend:
    """A model compiled by PyTorch. Calls from several threads run one after the other.

    Args:
        model: a model of `MODELS`; it is not changed.
        device: where to run it.
        precision: `float32`, `bfloat16` or `float16`.

    Raises:
        ConfigError: there is no C++ compiler, or no Triton for a GPU.
    """

    name = "compiled"

    def __init__(self, model: nn.Module, device: torch.device, precision: Precision) -> None:
        require_compiler(device)
        self.precision: Precision = precision
        self._device = device
        self._model = in_precision(folded(model), getattr(torch, precision)).to(device)
        self._turn = Lock()
        self._compiled: OrderedDict[tuple[Answer, torch.Size, torch.dtype], Callable[[Tensor], Tensor]] = OrderedDict()

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`: class ids (N, H, W)."""
        return self._answer(image, "classes").cpu()

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._answer(image, "logits").float().cpu()

    def _answer(self, image: Tensor, answer: Answer) -> Tensor:
        with self._turn, torch.no_grad():
            return self._answer_alone(image, answer)

    def _answer_alone(self, image: Tensor, answer: Answer) -> Tensor:
        key = (answer, image.shape, image.dtype)
        if key not in self._compiled:
            whole_maps = in_strips(self._model, answer, 2**62)  # one graph per size: sizes do not evict each other
            on_gpu = self._device.type == "cuda"
            options: dict[str, Any] = {"freezing": not on_gpu, "triton.cudagraphs": on_gpu}
            self._compiled[key] = torch.compile(whole_maps, fullgraph=True, dynamic=False, options=options)
            if len(self._compiled) > _SIZES_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        with torch.autocast(self._device.type, enabled=False):  # the caller's autocast would change the precision
            return self._compiled[key](image.to(self._device, memory_format=torch.channels_last))


def require_compiler(device: torch.device) -> None:
    """Checks that the tools which Inductor needs are installed.

    Raises:
        ConfigError: a tool is missing; the message says what to install.
    """
    if device.type != "cpu":
        if not has_triton():
            raise ConfigError("compiling for a GPU needs Triton; pip install triton, or use backend eager")
        return
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise ConfigError("compiling needs a C++ compiler and found none; install g++, or use backend eager")
    if not Path(get_path("include"), "Python.h").is_file():
        raise ConfigError("compiling needs Python's headers; install python3-dev, or use backend eager")
