"""ExecuTorch for phones and embedded devices, .pte: XNNPACK runs convolutions, portable kernels run the rest."""

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from segnet.export.program import count_operators, exported_program
from segnet.export.record import Image, Request, Written
from segnet.export.tools import require
from segnet.runtime.quiet import quiet


def write(request: Request, path: Path) -> Written:
    """Lowers, writes and loads the model; the metadata is stored in a .json file next to it.

    Raises:
        ConfigError: ExecuTorch is not installed.
    """
    exir = require("executorch.exir", "executorch")
    xnnpack = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    runtime = require("executorch.runtime", "executorch")
    program = exported_program(request)
    with quiet():
        lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
        operators = _operators(lowered.exported_program())
        path.write_bytes(lowered.to_executorch().buffer)
    path.with_suffix(".json").write_text(json.dumps(request.metadata(), indent=1))
    method = runtime.Runtime.get().load_program(path).load_method("forward")

    def run(image: Image) -> NDArray[np.generic]:
        answer: NDArray[np.generic] = method.execute([torch.from_numpy(np.ascontiguousarray(image))])[0].numpy()
        return answer

    return Written("ExecuTorch with XNNPACK", version("executorch"), operators, run)


def _operators(program: ExportedProgram) -> dict[str, int]:
    """Counts the operators of ExecuTorch's own kernels and those delegated to XNNPACK."""
    graphs = [program.graph]
    graphs += [m.original_module.graph for m in program.graph_module.children() if hasattr(m, "original_module")]
    counted = sum((Counter(count_operators(graph)) for graph in graphs), Counter())
    del counted["executorch_call_delegate"]
    return dict(counted)
