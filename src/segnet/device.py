"""Device and precision, chosen the same way for training, evaluation and prediction."""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from segnet.config import DEVICE_PATTERN, PrecisionName
from segnet.errors import ConfigError, nearest

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class DeviceSpec:
    """A device and a precision.

    Attributes:
        device: of all tensors.
        precision: `float32`, or `bfloat16` or `float16` for the convolutions with weights kept in float32.
    """

    device: torch.device
    precision: Literal["float32", "bfloat16", "float16"]

    def autocast(self) -> AbstractContextManager[object]:
        """The context manager for forward passes; it overrides an autocast context of the caller."""
        if self.precision == "float32":
            return torch.autocast(self.device.type, enabled=False)
        return torch.autocast(self.device.type, _HALF[self.precision])

    def ready(self, model: nn.Module) -> nn.Module:
        """Moves the model to the device, with its filters in channels-last order; returns the same model."""
        model.to(self.device)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}"


def choose_device(
    device: str | torch.device = "auto", precision: PrecisionName | Literal["int8"] = "auto"
) -> DeviceSpec:
    """Resolves `auto`: a GPU if there is one, bfloat16 if the hardware multiplies it natively, else float32.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N` for GPU number N, `mps` (Apple), or a `torch.device` of these.
        precision: of the arithmetic.

    Raises:
        ConfigError: an unknown name, a device that this machine does not have, or int8, which only quantised
            files have.
    """
    name = str(device)
    if not re.fullmatch(DEVICE_PATTERN, name):
        raise ConfigError(f"unknown device '{name}'; {nearest(name, ('auto', 'cpu', 'cuda', 'cuda:0', 'mps'))}")
    if precision not in (known := (*get_args(PrecisionName), "int8")):
        raise ConfigError(f"unknown precision '{precision}'; {nearest(str(precision), known)}")
    if precision == "int8":
        raise ConfigError(
            "precision int8 is that of a quantised file: make one with "
            "segnet quantise --weights W --data DIR --out FILE, and pass it as the weights"
        )
    chosen = _present(name)
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(chosen) else "float32"
    return DeviceSpec(chosen, precision)


def _present(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ConfigError: this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(name)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name}: this machine or this build of PyTorch has none; use device cpu or auto")
    if chosen.type == "cuda" and chosen.index is not None and chosen.index >= torch.cuda.device_count():
        raise ConfigError(f"device {name}: this machine has {torch.cuda.device_count()} GPUs, numbered from 0")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps: this machine or this build of PyTorch has none; use device cpu or auto")
    return chosen


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text() if processor.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
