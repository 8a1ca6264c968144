"""ncnn for phones and embedded devices: the graph in .param, the weights in a .bin next to it."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from segnet.errors import ConfigError
from segnet.export.arithmetic import arithmetic_model
from segnet.export.program import drop_aliases, exported_program
from segnet.export.record import Image, Request, Written
from segnet.export.tools import require
from segnet.runtime.quiet import quiet

_NO_OPERATORS = {"Input", "Split", "MemoryData"}


def write(request: Request, path: Path) -> Written:
    """Converts with pnnx, writes and loads the model in float32; a .json file next to it holds the metadata.

    The blobs are called `in0` and `out0`.

    Raises:
        ConfigError: ncnn or pnnx is not installed, ncnn lacks an operator of the model, or class ids are requested.
    """
    if request.answer == "classes":
        raise ConfigError("ncnn has no argmax over channels; use --answer logits")
    pnnx, ncnn = require("pnnx", "ncnn"), require("ncnn", "ncnn")
    with TemporaryDirectory() as folder:
        with quiet(), torch.no_grad():
            program = exported_program(request, arithmetic_model(request))
            model = program.module(check_guards=False)
            model = fx.GraphModule(model, model.graph)  # drops the input check, which would be traced too
            drop_aliases(model)
            (image,) = program.example_inputs[0]
            torch.jit.trace(model, image, check_trace=False).save(f"{folder}/model.pt")
        shape = ",".join(map(str, image.shape))
        command = [pnnx.EXEC_PATH, "model.pt", f"inputshape=[{shape}]", "fp16=0"]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if finished.returncode or not Path(folder, "model.ncnn.param").is_file():
            raise ConfigError(f"pnnx cannot convert {request.card.model}: {finished.stderr.strip()[-300:]}")
        shutil.move(f"{folder}/model.ncnn.param", path)
        shutil.move(f"{folder}/model.ncnn.bin", path.with_suffix(".bin"))
    path.with_suffix(".json").write_text(json.dumps(request.metadata(), indent=1))
    operators = Counter(line.split()[0] for line in path.read_text().splitlines()[2:])
    if foreign := sorted(name for name in operators if "." in name or "::" in name):
        raise ConfigError(f"ncnn has no {', '.join(foreign)}, which {request.card.model} needs; choose another target")
    loaded = ncnn.Net()
    # float32 throughout: in 16 bits the constant `HUGE` of `arithmetic.py` is infinite
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(loaded.opt, option, False)
    loaded.load_param(str(path))
    loaded.load_model(str(path.with_suffix(".bin")))

    def run(image: Image) -> NDArray[np.generic]:
        pixels = np.ascontiguousarray(image[0])  # ncnn.Mat does not copy
        extractor = loaded.create_extractor()
        extractor.input("in0", ncnn.Mat(pixels))
        return np.array(extractor.extract("out0")[1])[None]

    kept = {name: count for name, count in operators.items() if name not in _NO_OPERATORS}
    return Written("ncnn", ncnn.__version__, kept, run)
