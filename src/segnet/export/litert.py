"""LiteRT (TensorFlow Lite) for phones and embedded devices, .tflite."""

import contextlib
import io
import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segnet.export.record import Image, Request, Written
from segnet.export.tools import require
from segnet.runtime.graph import inference_model
from segnet.runtime.quiet import quiet


def write(request: Request, path: Path) -> Written:
    """Converts, writes and loads the model; a .json file next to it holds the metadata.

    Raises:
        ConfigError: litert-torch or ai-edge-litert is not installed.
    """
    converter = require("litert_torch", "litert")
    interpreter = require("ai_edge_litert.interpreter", "litert")
    assert request.size_px is not None  # `export_weights` has refused dynamic sizes
    model = inference_model(request.model, answer=request.answer)
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # the converter prints its stages
        converter.convert(model, (torch.zeros(1, request.card.in_channels, *request.size_px),)).export(str(path))
    path.with_suffix(".json").write_text(json.dumps(request.metadata(), indent=1))
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # otherwise the list shows only DELEGATE
    listed = interpreter.Interpreter(str(path), experimental_op_resolver_type=plain)
    operators = Counter(operator["op_name"] for operator in listed._get_ops_details())
    loaded = interpreter.Interpreter(str(path))
    loaded.allocate_tensors()
    image_index, answer = loaded.get_input_details()[0]["index"], loaded.get_output_details()[0]["index"]

    def run(image: Image) -> NDArray[np.generic]:
        loaded.set_tensor(image_index, np.ascontiguousarray(image))
        loaded.invoke()
        result: NDArray[np.generic] = loaded.get_tensor(answer)
        return result

    return Written("LiteRT", version("ai-edge-litert"), dict(operators), run)
