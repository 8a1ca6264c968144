"""`torch.export` files, .pt2: read by `torch.export.load` and by the tools that build on it."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segnet.export.program import count_operators, exported_program
from segnet.export.record import Image, Request, Written
from segnet.runtime.quiet import quiet


def write(request: Request, path: Path) -> Written:
    """Exports, writes and reads back the model; the metadata is stored as extra files named `segnet.*`."""
    with quiet():
        torch.export.save(exported_program(request), path, extra_files=request.metadata())
        program = torch.export.load(path)
        model = program.module()

    def run(image: Image) -> NDArray[np.generic]:
        with torch.inference_mode():
            answer: NDArray[np.generic] = model(torch.from_numpy(image)).numpy()
        return answer

    return Written("PyTorch", torch.__version__, count_operators(program.graph), run)
