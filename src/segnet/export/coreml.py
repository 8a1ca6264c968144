"""Core ML for Apple devices, .mlpackage. It is run on macOS; on other systems only its structure is checked."""

import contextlib
import io
import platform
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segnet.errors import ExportError
from segnet.export.arithmetic import arithmetic_model
from segnet.export.program import drop_aliases, exported_program
from segnet.export.record import Image, Request, Run, Written
from segnet.export.tools import require
from segnet.runtime.quiet import quiet


def write(request: Request, path: Path) -> Written:
    """Converts in float32 for iOS 16 and macOS 13; the metadata is stored in the package. Class ids are int32.

    Raises:
        ConfigError: coremltools is not installed.
        ExportError: the package has another input or output than requested.
    """
    coreml = require("coremltools", "coreml")
    with quiet(), contextlib.redirect_stderr(io.StringIO()):  # progress bars
        program = exported_program(request, arithmetic_model(request)).run_decompositions({})
        drop_aliases(program.graph_module)
        model = coreml.convert(
            program,
            outputs=[coreml.TensorType(name=request.answer)],
            minimum_deployment_target=coreml.target.iOS16,
            # the default is float16, in which the constant `HUGE` of `arithmetic.py` is infinite
            compute_precision=coreml.precision.FLOAT32,
        )
        model.user_defined_metadata.update(request.metadata())
        model.save(str(path))
        spec = coreml.models.MLModel(str(path), skip_model_load=True).get_spec()
    description = spec.description
    shape = tuple(description.input[0].type.multiArrayType.shape)
    if (description.input[0].name, description.output[0].name) != ("image", request.answer):
        raise ExportError(f"{path.name}: expected 'image' -> '{request.answer}', got other names; not exported")
    if shape[2:] != request.size_px:
        raise ExportError(f"{path.name}: expected an input of {request.size_px}, got {shape}; not exported")
    blocks = spec.mlProgram.functions["main"].block_specializations.values()
    operators = Counter(operation.type for block in blocks for operation in block.operations)
    del operators["const"]

    def predict(image: Image) -> NDArray[np.generic]:
        answer: NDArray[np.generic] = model.predict({"image": image})[request.answer]
        return answer

    run: Run | None = predict if platform.system() == "Darwin" else None
    return Written("Core ML", coreml.__version__, dict(operators), run)
