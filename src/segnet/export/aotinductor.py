"""AOTInductor: a .pt2 package of machine code for this kind of processor, compiled ahead of time by PyTorch."""

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch._inductor import aoti_compile_and_package, aoti_load_package

from segnet.errors import ConfigError
from segnet.export.program import count_operators, exported_program
from segnet.export.record import Image, Request, Written
from segnet.runtime.quiet import quiet


def write(request: Request, path: Path) -> Written:
    """Compiles and loads the package; the metadata is stored inside it.

    Raises:
        ConfigError: there is no C++ compiler.
    """
    if not shutil.which("g++") and not shutil.which("clang++"):
        raise ConfigError("export to aotinductor needs a C++ compiler and found none; install g++")
    program = exported_program(request)
    with quiet():
        aoti_compile_and_package(
            program, package_path=str(path), inductor_configs={"aot_inductor.metadata": request.metadata()}
        )
        model = aoti_load_package(str(path))

    def run(image: Image) -> NDArray[np.generic]:
        with torch.inference_mode():
            # the compiled code expects contiguous images and does not check strides
            answer: NDArray[np.generic] = model(torch.from_numpy(np.ascontiguousarray(image))).numpy()
        return answer

    return Written("PyTorch AOTInductor", torch.__version__, count_operators(program.graph), run)
