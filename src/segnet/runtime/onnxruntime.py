"""ONNX Runtime on the CPU, float32. Needs `pip install 'segnet[onnx]'`.

A model is converted once, with dynamic sizes. The images of a batch run one by one.
"""

from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from segnet.runtime.backend import Precision, require
from segnet.runtime.graph import Answer, exported, inference_model
from segnet.runtime.quiet import quiet


class ONNXRuntimeBackend:
    """Runs a model on ONNX Runtime's CPU provider.

    Args:
        model: a model of `MODELS`; it is not changed.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is not installed.
    """

    name = "onnxruntime"
    precision: Precision = "float32"

    def __init__(self, model: nn.Module) -> None:
        for module in ("onnx", "onnxscript", "onnxruntime"):
            require(module, "onnx")
        self._model = model
        self._sessions: dict[Answer, Any] = {}
        self._converting = Lock()

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`: class ids (N, H, W)."""
        return self._answer(image, "classes")

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._answer(image, "logits")

    def _answer(self, image: Tensor, answer: Answer) -> Tensor:
        with self._converting:
            if answer not in self._sessions:
                self._sessions[answer] = _session(self._model, answer)
            session = self._sessions[answer]
        name = session.get_inputs()[0].name
        if image.dtype == torch.uint8:
            image = image.float() / 255
        images = image.contiguous().numpy()
        parts = [session.run(None, {name: images[i : i + 1]})[0] for i in range(len(images))]
        return torch.cat([torch.from_numpy(part) for part in parts])


def _session(model: nn.Module, answer: Answer) -> Any:
    runtime = require("onnxruntime", "onnx")
    with quiet():
        program = torch.onnx.export(exported(inference_model(model, answer=answer), None), dynamo=True, verbose=False)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    file = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    return runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
