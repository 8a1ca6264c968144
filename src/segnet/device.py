"""Device and precision: chosen in one place for training, evaluation and prediction."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from segnet.config import DeviceName, PrecisionName
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
        return f"{self.device.type}, {self.precision}"


def choose_device(device: DeviceName = "auto", precision: PrecisionName | Literal["int8"] = "auto") -> DeviceSpec:
    """Resolves `auto`: a GPU where there is one, bfloat16 where the hardware multiplies it natively, else float32.

    Raises:
        ConfigError: an unknown name, a device that this machine does not have, or int8, which only quantised files
            have.
    """
    for what, name, known in (
        ("device", device, get_args(DeviceName)),
        ("precision", precision, (*get_args(PrecisionName), "int8")),
    ):
        if name not in known:
            raise ConfigError(f"unknown {what} '{name}'; {nearest(str(name), known)}")
    if precision == "int8":
        raise ConfigError(
            "precision int8 is that of a quantised file: make one with "
            "segnet quantise --weights W --data DIR --out FILE, and give it as the weights"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: this machine or this build of PyTorch has none; use device cpu or auto")
    chosen = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(chosen) else "float32"
    return DeviceSpec(chosen, precision)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text() if processor.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
