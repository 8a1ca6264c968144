"""What every way to run a model can do: class ids or logits for images of one size."""

from importlib import import_module
from typing import Any, Literal, Protocol

from torch import Tensor

from segnet.errors import ConfigError

BackendName = Literal["auto", "eager", "compiled", "openvino", "onnxruntime"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]


class Backend(Protocol):
    """A model bound to a runtime and a precision.

    Attributes:
        name: of the runtime, such as `openvino`.
        precision: of the convolutions.
    """

    name: str
    precision: Precision

    def classes(self, image: Tensor) -> Tensor:
        """RGB uint8, or floating in [0, 1], (N, 3, H, W) on the CPU -> class ids, uint8 (N, H, W) on the CPU."""
        ...

    def logits(self, image: Tensor) -> Tensor:
        """The same -> float32 (N, K, H, W) on the CPU; copied out whole, so ask for it only when needed."""
        ...


def require(module: str, extra: str | None = None) -> Any:
    """A module of another package.

    Args:
        module: its name.
        extra: the extra of this package that brings it; None where none does.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        package = f"'segnet[{extra}]'" if extra else module
        raise ConfigError(f"{module} is not installed; pip install {package}") from None
