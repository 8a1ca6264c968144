"""OpenVINO: the fastest backend on CPUs with AVX-512 (Intel and AMD). Needs `pip install 'segnet[openvino]'`.

A model is converted once, with dynamic sizes. That takes seconds, so the result can be cached on disk. It is compiled
once per image size, because a fixed size lets the runtime plan its memory; the most recent sizes stay compiled. The
images of a batch run one by one. OpenVINO cannot pool a feature map of one row or column, so models with n poolings
need images of more than 2^(n-1) pixels on each side.
"""

from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from segnet.errors import ConfigError, DataError, ShapeError
from segnet.io.files import is_file, whole_files
from segnet.runtime.backend import Precision, require
from segnet.runtime.graph import Answer, exported, inference_model
from segnet.runtime.quantised import read_quantised
from segnet.runtime.quiet import quiet

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}
_SIZES_KEPT = 4


class OpenVINOBackend:
    """Runs a model on OpenVINO's CPU plugin.

    Args:
        model: a model of `MODELS`, which is not changed; or a quantised OpenVINO model, uint8 (1, C, H, W) -> logits.
        precision: `float32` or `bfloat16`; `int8` for a quantised model.
        kept: folder of this model alone, where the converted model is cached; None caches nothing.

    Raises:
        ConfigError: OpenVINO is not installed, or the CPU does not support the precision.
    """

    name = "openvino"

    def __init__(self, model: Any, precision: Precision, *, kept: Path | None = None) -> None:
        self._core = openvino_core(precision)
        self.precision: Precision = precision
        self._model = model
        self._kept = kept
        self._converted: dict[Answer, Any] = {}
        self._compiled: OrderedDict[tuple[Answer, tuple[int, int]], Any] = OrderedDict()
        self._compiling = Lock()

    @classmethod
    def from_quantised(cls, path: Path) -> "OpenVINOBackend":
        """Loads a file of `segnet quantise`; raises as `read_quantised` does."""
        return cls(quantised_model(path, "logits"), "int8")

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`: class ids (N, H, W)."""
        return self._answer(image, "classes")

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._answer(image, "logits")

    def _answer(self, image: Tensor, answer: Answer) -> Tensor:
        if image.dtype != torch.uint8:
            image = (image * 255).round().to(torch.uint8)
        # only compiling is serialised: each call has a request of its own
        with self._compiling:
            request = self._compile(answer, (image.shape[2], image.shape[3])).create_infer_request()
        images = image.contiguous().numpy()
        answers = [request.infer(images[i : i + 1], share_inputs=True)[0].copy() for i in range(len(images))]
        return torch.cat([torch.from_numpy(part) for part in answers])

    def _compile(self, answer: Answer, size: tuple[int, int]) -> Any:
        key = (answer, size)
        if key not in self._compiled:
            if answer not in self._converted:
                self._converted[answer] = self._convert(answer)
            fixed = self._converted[answer].clone()
            try:
                channels = fixed.inputs[0].partial_shape[1]
                # files written before other channels were supported leave this open, and are RGB
                fixed.reshape([1, channels.get_length() if channels.is_static else 3, *size])
            except RuntimeError as cause:
                if "MaxPool" not in str(cause):
                    raise
                raise ShapeError(
                    f"openvino cannot pool feature maps of one row or column, which this model has for an "
                    f"image of {size}; use larger images, or backend eager"
                ) from None
            self._compiled[key] = compile_for_latency(self._core, fixed, self.precision)
            if len(self._compiled) > _SIZES_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return self._compiled[key]

    def _convert(self, answer: Answer) -> Any:
        if not isinstance(self._model, nn.Module):
            return self._model if answer == "logits" else _with_argmax(self._model)
        if self._kept is None:
            return convert(self._model, answer)
        path = self._kept / f"{answer}.xml"
        if is_file(path):
            with suppress(RuntimeError):  # a damaged file is converted again
                return self._core.read_model(path)
        made = convert(self._model, answer)
        with suppress(DataError), whole_files(path) as temporary:  # an unwritable folder only means no cache
            # not compressed: OpenVINO's default would round the weights to float16
            require("openvino", "openvino").save_model(made, temporary, compress_to_fp16=False)
        return made


def openvino_core(precision: Precision) -> Any:
    """Returns OpenVINO's `Core` after checking that this CPU supports the precision.

    Raises:
        ConfigError: OpenVINO is not installed, or the CPU does not support the precision.
    """
    core = require("openvino", "openvino").Core()
    if precision not in _HINTS:
        raise ConfigError(f"backend openvino does not support {precision} on the CPU; use bfloat16 or float32")
    if _HINTS[precision] == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        if precision == "int8":
            return core
        raise ConfigError("precision bfloat16: this CPU does not support bfloat16 (AVX-512 BF16 or AMX); use float32")
    return core


def convert(model: nn.Module, answer: Answer) -> Any:
    """Converts a model to OpenVINO with dynamic height and width: uint8 (1, C, H, W) -> logits or class ids."""
    openvino = require("openvino", "openvino")
    made = inference_model(model, answer=answer)
    program = exported(made, None, torch.uint8)
    with quiet():
        converted = openvino.convert_model(program)
    converted.reshape([1, made.in_channels, -1, -1])  # the conversion leaves the number of channels open
    return converted


def quantised_model(path: Path, answer: Answer) -> Any:
    """The OpenVINO model in a file of `segnet quantise`: uint8 (1, C, H, W) -> logits or class ids.

    Raises:
        ConfigError: OpenVINO is not installed.
        WeightsError: the file is missing, broken, or not quantised.
    """
    core = openvino_core("int8")
    parts, _ = read_quantised(path)
    model = core.read_model(parts["xml"].numpy().tobytes(), parts["bin"].numpy().tobytes())
    return model if answer == "logits" else _with_argmax(model)


def _with_argmax(model: Any) -> Any:
    """Adds an argmax to a model of logits (1, K, H, W): it then returns class ids, uint8 (1, H, W)."""
    openvino = require("openvino", "openvino")
    ops = require("openvino.opset13", "openvino")
    model = model.clone()
    logits = model.output(0).get_node().input_value(0)
    best = ops.topk(logits, 1, axis=1, mode="max", sort="none").output(1)  # (1, 1, H, W)
    classes = ops.convert(ops.squeeze(best, [1]), "u8")
    return openvino.Model([classes], model.get_parameters(), "classes")


def compile_for_latency(core: Any, model: Any, precision: Precision) -> Any:
    """Compiles an OpenVINO model for one image at a time, on as many threads as PyTorch uses."""
    has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    hint = _HINTS[precision] if has_bfloat16 else "f32"
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
    }
    return core.compile_model(model, "CPU", settings)
