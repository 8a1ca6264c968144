"""Trained models in the formats of other runtimes; each file is run there before it takes its name."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from segnet.errors import ConfigError, DataError, ExportError, nearest
from segnet.export import aotinductor, coreml, executorch, litert, ncnn, onnx, openvino, torch_export
from segnet.export.comparison import compare, example_images
from segnet.export.record import Exported, Request, Written
from segnet.io.files import whole_files
from segnet.runtime.graph import Answer
from segnet.runtime.quantised import read_quantised
from segnet.weights.file import find_weights, load_weights

__all__ = ["TARGETS", "export_weights"]


class Target(NamedTuple):
    """A format.

    Attributes:
        suffix: of its file.
        write: writes the file, and loads it into its runtime.
        dynamic: whether it holds a model for images of any size.
    """

    suffix: str
    write: Callable[[Request, Path], Written]
    dynamic: bool


TARGETS: dict[str, Target] = {
    "onnx": Target(".onnx", onnx.write, dynamic=True),
    "openvino": Target(".xml", openvino.write, dynamic=True),
    "torch-export": Target(".pt2", torch_export.write, dynamic=True),
    "aotinductor": Target(".pt2", aotinductor.write, dynamic=True),
    "executorch": Target(".pte", executorch.write, dynamic=False),
    "litert": Target(".tflite", litert.write, dynamic=False),
    "ncnn": Target(".param", ncnn.write, dynamic=False),
    "coreml": Target(".mlpackage", coreml.write, dynamic=False),
}

_OF_A_PACKAGE = "Manifest.json"  # what Core ML's folders have in them
_NOT_PLAIN = re.compile(r"scatter|gather_?(nd|elements)|max_?unpool|::", re.IGNORECASE)


def export_weights(
    weights: str | Path,
    target: str,
    path: Path,
    *,
    size_px: tuple[int, int] | None,
    answer: Answer = "logits",
    image: Path | None = None,
    quantised: Path | None = None,
) -> Exported:
    """Writes a model for another runtime, runs it there, and compares it with PyTorch; whole and equal, or not at all.

    Args:
        weights: name of weights that ship, or a `.safetensors` file.
        target: a key of `TARGETS`.
        path: of the file; some targets put others of the same stem beside it.
        size_px: (height, width) of the images it will take; None for any.
        answer: `logits`, or `classes` with the argmax inside.
        image: to compare on, besides noise; None draws a street scene.
        quantised: file of `segnet quantise` from these weights, to export in int8; None exports in float32.

    Raises:
        ConfigError: unknown target, a size, an answer or a precision that it cannot hold, another suffix, or a tool
            that is missing.
        WeightsError: the weights cannot be read, or the quantised file comes from others.
        DataError: the image cannot be read, or the file not be written.
        ExportError: the export does not say what PyTorch says.
    """
    if target not in TARGETS:
        raise ConfigError(f"unknown export target '{target}'; {nearest(target, TARGETS)}")
    made_by = TARGETS[target]
    if path.suffix != made_by.suffix:
        raise ConfigError(f"{path}: {target} writes {made_by.suffix}; give the file that suffix")
    if path.is_dir() and not (path.suffix == ".mlpackage" and (path / _OF_A_PACKAGE).is_file()):
        raise ConfigError(f"{path} is a folder, and not of {target}; choose another name")
    if size_px is None and not made_by.dynamic:
        dynamic = ", ".join(name for name, each in TARGETS.items() if each.dynamic)
        raise ConfigError(
            f"a file of {target} is for one size; give --size HEIGHTxWIDTH and bring images to it, or export to "
            f"one of {dynamic}"
        )
    if quantised and target != "openvino":
        raise ConfigError(f"{quantised} is a model of OpenVINO; only --to openvino exports it, {target} takes float32")
    images = example_images(size_px, image)
    model, card = load_weights(weights)
    if quantised:
        card = replace(card, scores=read_quantised(quantised, find_weights(weights))[1].scores_after)
    request = Request(model, card, size_px, answer, quantised)
    with whole_files(path) as temporary:
        runtime, version, operators, run = made_by.write(request, temporary)
        if strange := sorted(filter(_NOT_PLAIN.search, operators)):
            raise ExportError(f"{target}: operators that not every runtime has: {', '.join(strange)}; not exported")
        differences = compare(request, run, images) if run else ()
        _require_free_beside(path, temporary.parent)
        num_bytes = sum(made.stat().st_size for made in temporary.parent.rglob("*") if made.is_file())
    return Exported(path, target, runtime, version, operators, differences, num_bytes, run)


def _require_free_beside(path: Path, room: Path) -> None:
    """Refuses, on a first export to `path`, files beside it that belong to something else."""
    in_the_way = [path.with_name(made.name) for made in room.iterdir() if path.with_name(made.name).exists()]
    if in_the_way and not path.exists():
        raise DataError(
            f"{in_the_way[0]} is there without {path.name}, so it belongs to something else and "
            "would be written over; choose another name"
        )
