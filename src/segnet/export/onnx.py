"""ONNX, for ONNX Runtime on any platform and in the browser."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segnet.export.program import exported_program
from segnet.export.record import Image, Request, Written
from segnet.export.tools import require
from segnet.runtime.quiet import quiet

OPSET = 18


def write(request: Request, path: Path) -> Written:
    """Writes opset 18 as one file, checks it and loads it into ONNX Runtime; the metadata is stored as properties.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is not installed.
    """
    onnx, runtime, _ = (require(module, "onnx") for module in ("onnx", "onnxruntime", "onnxscript"))
    program = exported_program(request)
    with quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=[request.answer],
            verbose=False,
        )
    assert made is not None  # it is None for the older exporter
    model = made.model_proto
    onnx.helper.set_model_props(model, request.metadata())
    onnx.save_model(model, path)
    onnx.checker.check_model(path, full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(image: Image) -> NDArray[np.generic]:
        answer: NDArray[np.generic] = session.run(None, {"image": image})[0]
        return answer

    operators = Counter(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in model.graph.node)
    return Written("ONNX Runtime", runtime.__version__, dict(operators), run)
