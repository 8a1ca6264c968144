"""OpenVINO's intermediate representation: .xml with the weights in a .bin next to it, float32 or int8."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnet.export.program import exported_program
from segnet.export.record import Image, Request, Written
from segnet.export.tools import require
from segnet.runtime.openvino import quantised_model
from segnet.runtime.quiet import quiet

_NO_OPERATORS = {"Constant", "Parameter", "Result"}


def write(request: Request, path: Path) -> Written:
    """Writes and loads the model; the metadata is stored as `rt_info`.

    It runs in float32 here, so that the comparison does not depend on the processor; a processor with bfloat16 may
    run the file in bfloat16. An int8 model takes uint8 images.

    Raises:
        ConfigError: OpenVINO is not installed.
        WeightsError: the quantised file was made from other weights.
    """
    openvino = require("openvino", "openvino")
    model = _floating(request) if request.quantised is None else quantised_model(request.quantised, request.answer)
    model.reshape([1, request.card.in_channels, *(request.size_px or (-1, -1))])
    model.inputs[0].set_names({"image"})
    model.outputs[0].set_names({request.answer})
    for key, value in request.metadata().items():
        model.set_rt_info(value, key.split("."))
    openvino.save_model(model, path, compress_to_fp16=False)
    core = openvino.Core()
    read = core.read_model(path)
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(image: Image) -> NDArray[np.generic]:
        pixels = image if request.quantised is None else np.rint(image * 255).astype(np.uint8)
        answer: NDArray[np.generic] = compiled(pixels)[0]
        return answer

    operators = Counter(operator.get_type_name() for operator in read.get_ops())
    version = openvino.__version__.partition("-")[0]
    return Written("OpenVINO", version, {k: n for k, n in operators.items() if k not in _NO_OPERATORS}, run)


def _floating(request: Request) -> Any:
    program = exported_program(request)
    with quiet():
        return require("openvino", "openvino").convert_model(program)
