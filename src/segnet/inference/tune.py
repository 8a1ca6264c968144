"""Finds the fastest backend and precision for a model on this machine, and stores the result for `auto`.

Which backend is fastest depends on the processor, the model and the size, and measuring it takes a minute, since some
backends convert or compile the model first. No prediction waits for that: `segnet tune` measures, and writes the
result into the cache folder, for these weights, this machine and these versions. Without a stored result, `auto` is
PyTorch's own operators.

A combination is correct when nearly every pixel has the class that PyTorch's own operators give it in float32.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor

from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, WeightsError
from segnet.io.files import cache_folder, sha256_of, whole_file
from segnet.machine import machine_facts
from segnet.runtime.backend import BackendName
from segnet.runtime.create import choose_backend
from segnet.runtime.quantised import is_quantised
from segnet.weights.file import find_weights, load_weights

LEAST_SAME = 0.98
_RUNTIMES = ("openvino", "onnxruntime")


@dataclass(frozen=True)
class Trial:
    """One backend and precision, and what was measured with it.

    Attributes:
        backend: name.
        precision: of the convolutions.
        size_px: (height, width) of the image.
        median_ms: of one image.
        start_up_ms: from the model to the first result.
        same: share of the pixels that have the class of eager float32, 0..1.
    """

    backend: BackendName
    precision: Literal["float32", "bfloat16", "float16"]
    size_px: tuple[int, int]
    median_ms: float
    start_up_ms: float
    same: float


def try_ways(
    weights: str | Path, image: Tensor, device_spec: DeviceSpec | None = None, repeats: int = 5
) -> tuple[list[Trial], list[str]]:
    """Runs a model with every backend and precision available here.

    Args:
        weights: name or path, not quantised.
        image: uint8 (1, C, H, W); its channels are repeated for a model of another number.
        device_spec: device and precision; None chooses. ONNX Runtime is tried in float32.
        repeats: timed runs of each, after the first run.

    Returns:
        A record for each combination that runs, and a line for each that does not.

    Raises:
        WeightsError: the weights cannot be read, or are quantised.
    """
    path = find_weights(weights)
    if is_quantised(path):
        raise WeightsError(f"{path} is quantised: it runs on openvino only, so there is nothing to measure")
    device_spec = device_spec or choose_device()
    ways: list[tuple[BackendName, Literal["float32", "bfloat16", "float16"]]]
    ways = [("eager", "float32"), ("eager", device_spec.precision), ("compiled", device_spec.precision)]
    if device_spec.device.type == "cpu":
        ways += [("openvino", device_spec.precision), ("onnxruntime", "float32")]
    model, card = load_weights(path)
    if image.shape[1] != card.in_channels:  # for its time, any values will do
        image = image[:, torch.arange(card.in_channels) % image.shape[1]].contiguous()
    expected = choose_backend(model, "eager", device_spec.device, "float32").classes(image)
    trials, refused = [], []
    for backend, precision in dict.fromkeys(ways):
        began = time.perf_counter()
        try:
            run = choose_backend(model, backend, device_spec.device, precision, kept=folder_of(path))
        except ConfigError as cause:
            refused.append(f"{backend} {precision}: {cause}")
            continue
        same = (run.classes(image) == expected).float().mean().item()
        marks = [time.perf_counter()]
        for _ in range(repeats):
            run.classes(image)
            marks.append(time.perf_counter())
        times = sorted(1e3 * (after - before) for before, after in pairwise(marks))
        size_px = (image.shape[2], image.shape[3])
        trials.append(Trial(backend, precision, size_px, times[repeats // 2], 1e3 * (marks[0] - began), same))
    return trials, refused


def fastest(trials: Sequence[Trial]) -> Trial:
    """The correct one with the smallest median.

    Raises:
        ConfigError: none is correct.
    """
    correct = [trial for trial in trials if trial.same >= LEAST_SAME]
    if not correct:
        raise ConfigError(
            f"no backend gives {LEAST_SAME:.0%} of the pixels the class of float32; use precision float32"
        )
    return min(correct, key=lambda trial: trial.median_ms)


def remember(weights: str | Path, trial: Trial, device: torch.device) -> Path:
    """Stores the fastest combination; one of another machine or of other versions is replaced.

    Returns:
        The file.

    Raises:
        DataError: the cache folder cannot be written.
    """
    path = folder_of(find_weights(weights)) / "fastest.json"
    record = {"machine": _machine(device), "trial": asdict(trial)}
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return path


def remembered(weights: Path, device: torch.device) -> Trial | None:
    """The stored result for these weights, if it was measured on this machine with these versions.

    A file that cannot be read counts as none.
    """
    path = folder_of(weights) / "fastest.json"
    try:
        record = json.loads(path.read_bytes())
        trial = TypeAdapter(Trial).validate_python(record["trial"])
        here: bool = record["machine"] == _machine(device)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return trial if here else None


def folder_of(weights: Path) -> Path:
    """The cache folder for files made from a weights file by the installed versions."""
    versions = "-".join(str(_version(name)) for name in ("segnet", "torch", *_RUNTIMES))
    return cache_folder() / "models" / f"{sha256_of(weights)[:16]}-{versions}"


def _machine(device: torch.device) -> dict[str, str]:
    facts = machine_facts()
    return {"Device": device.type} | {name: facts[name] for name in ("System", "Processor", "GPU") if name in facts}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
