"""Export of trained models to other runtimes; each file is run and compared with PyTorch before it is kept."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from segnet.errors import ConfigError, DataError, ExportError, nearest
from segnet.export import aotinductor, caffe, coreml, executorch, litert, ncnn, onnx, openvino, torch_export
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
        suffix: file suffix.
        write: writes the file and loads it into its runtime.
        dynamic: whether the format can hold a model for images of any size.
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
    "caffe": Target(".caffemodel", caffe.write, dynamic=False),
}

_PACKAGE_MANIFEST = "Manifest.json"  # every Core ML package folder contains it
_SPECIAL_OPERATORS = re.compile(r"scatter|gather_?(nd|elements)|max_?unpool|::", re.IGNORECASE)


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
    """Exports a model, runs the file in its runtime and compares it with PyTorch; a file that differs is not written.

    Args:
        weights: name of weights that ship, or a `.safetensors` file.
        target: a key of `TARGETS`.
        path: of the file; some targets write others of the same stem next to it.
        size_px: (height, width) of the input images; None exports a dynamic size.
        answer: `logits`, or `classes` with the argmax inside the graph.
        image: image to compare on, in addition to noise; None draws a street scene.
        quantised: int8 file that `segnet quantise` made from these weights; None exports in float32.

    Raises:
        ConfigError: unknown target; a size, output or precision that the target does not support; wrong suffix; or a
            missing tool.
        WeightsError: the weights cannot be read, or the quantised file was made from other weights.
        DataError: the image cannot be read, or the file cannot be written.
        ExportError: the exported model does not agree with PyTorch.
    """
    if target not in TARGETS:
        raise ConfigError(f"unknown export target '{target}'; {nearest(target, TARGETS)}")
    chosen = TARGETS[target]
    if path.suffix != chosen.suffix:
        raise ConfigError(f"{path}: {target} writes {chosen.suffix}; give the file that suffix")
    if path.is_dir() and not (path.suffix == ".mlpackage" and (path / _PACKAGE_MANIFEST).is_file()):
        raise ConfigError(f"{path} is a folder that {target} did not write; choose another name")
    if size_px is None and not chosen.dynamic:
        dynamic = ", ".join(name for name, each in TARGETS.items() if each.dynamic)
        raise ConfigError(
            f"{target} supports one fixed size only; give --size HEIGHTxWIDTH and resize images to it, or export to "
            f"one of {dynamic}"
        )
    if quantised and target != "openvino":
        raise ConfigError(f"{quantised} is an OpenVINO model; only --to openvino exports it, {target} exports float32")
    model, card = load_weights(weights)
    images = example_images(size_px, image, card.in_channels)
    if quantised:
        card = replace(card, scores=read_quantised(quantised, find_weights(weights))[1].scores_after)
    request = Request(model, card, size_px, answer, quantised)
    with whole_files(path) as temporary:
        runtime, version, operators, run = chosen.write(request, temporary)
        if special := sorted(filter(_SPECIAL_OPERATORS.search, operators)):
            raise ExportError(
                f"{target}: operators that not every runtime supports: {', '.join(special)}; not exported"
            )
        differences = compare(request, run, images) if run else ()
        _refuse_to_overwrite(path, temporary.parent)
        num_bytes = sum(made.stat().st_size for made in temporary.parent.rglob("*") if made.is_file())
    return Exported(path, target, runtime, version, operators, differences, num_bytes, run)


def _refuse_to_overwrite(path: Path, temporary_folder: Path) -> None:
    """Raises DataError when a first export to `path` would overwrite files of another program next to it."""
    in_the_way = [
        path.with_name(made.name) for made in temporary_folder.iterdir() if path.with_name(made.name).exists()
    ]
    if in_the_way and not path.exists():
        raise DataError(
            f"{in_the_way[0]} exists although {path.name} does not, so another program wrote it; "
            "choose another name, or delete it"
        )
