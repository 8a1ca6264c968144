"""Words of a command line -> checked values, and options, shared by all its commands."""

import math
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from segnet.errors import ConfigError, nearest

WeightsOption = Annotated[str, typer.Option(help="Name of weights that ship, a .safetensors file, or hf://owner/repo.")]
DataOption = Annotated[str, typer.Option(help="Folder of the dataset, or street for the drawn scenes.")]
FormatOption = Annotated[str, typer.Option("--format", help="auto, or a name of segnet.data.DATA_FORMATS.")]
BackendOption = Annotated[str, typer.Option(help="auto, eager (PyTorch), compiled, openvino or onnxruntime.")]
CRFOption = Annotated[
    Path | None, typer.Option("--crf", help="Dense CRF after the model: a file of `segnet crf search`.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N (GPU number N) or mps (Apple).")]
TTAOption = Annotated[str, typer.Option("--tta", help="Test-time augmentation: flip, or flip,0.75,1,1.25 (slower).")]
PrecisionOption = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16 (for a GPU; slow on a CPU).")]


def command_line() -> str:
    """The command that runs, as a person can type it again."""
    return shlex.join(["segnet", *sys.argv[1:]])


def one_of(what: str, value: str, known: Iterable[str]) -> Any:
    """`value` itself, known to be one of `known`; `what` names it in the error.

    Raises:
        ConfigError: it is not; names the nearest.
    """
    names = tuple(known)
    if value not in names:
        raise ConfigError(f"unknown {what} '{value}'; {nearest(value, names)}")
    return value


def device_name(value: str) -> Any:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`; errors as in `one_of`."""
    from segnet.config import DEVICE_PATTERN

    known = ("auto", "cpu", "cuda", "cuda:0", "mps")
    return value if re.fullmatch(DEVICE_PATTERN, value) else one_of("device", value, known)


def precision_name(value: str) -> Any:
    """`auto`, `float32`, `bfloat16`, `float16`, or `int8`, which only quantised files have; errors as in `one_of`."""
    return one_of("precision", value, ("auto", "float32", "bfloat16", "float16", "int8"))


def backend_name(value: str) -> Any:
    """`auto`, `eager`, `compiled`, `openvino` or `onnxruntime`; errors as in `one_of`."""
    return one_of("backend", value, ("auto", "eager", "compiled", "openvino", "onnxruntime"))


def image_reading(bands: str, value_range: str) -> Any:
    """`4,3,2` and `0,4095` -> an `ImageReading`; None where both are empty.

    Raises:
        ConfigError: not whole numbers, not two numbers, or an empty range.
    """
    from segnet.data.reading.bands import ImageReading

    if not bands and not value_range:
        return None
    try:
        numbers = tuple(int(name) for name in names_in(bands)) or None
    except ValueError:
        raise ConfigError(f"--bands {bands}: expected numbers counted from 1, such as 1,2,3") from None
    try:
        low, high = (float(name) for name in names_in(value_range)) if value_range else (0.0, 1.0)
    except ValueError:
        raise ConfigError(f"--value-range {value_range}: expected two numbers, such as 0,4095") from None
    return ImageReading((low, high) if value_range else None, numbers)


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between -> each; none for an empty text."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def size_px(text: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` -> (height, width), both at least 1.

    Raises:
        ConfigError: another form.
    """
    height, cross, width = text.partition("x")
    if not cross or not re.fullmatch("[0-9]{1,6}", height) or not re.fullmatch("[0-9]{1,6}", width):
        raise ConfigError(f"size '{text}': expected HEIGHTxWIDTH in pixels, for example 360x480")
    if not int(height) * int(width):
        raise ConfigError(f"size '{text}': expected at least one pixel each way, for example 360x480")
    return int(height), int(width)


def amount(option: str, value: float) -> float:
    """`value` itself, known to be above 0 and finite; `option` names it in the error.

    Raises:
        ConfigError: it is not.
    """
    if not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"{option} {value:g}: expected a number above 0")
    return value
