"""The protocol of all inference backends: class ids or logits for a batch of images of one size."""

from importlib import import_module
from typing import Any, Literal, Protocol

from torch import Tensor

from segnet.errors import ConfigError

BackendName = Literal["auto", "eager", "compiled", "openvino", "onnxruntime"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]


class Backend(Protocol):
    """A model prepared for one runtime and one precision.

    Attributes:
        name: name of the runtime, such as `openvino`.
        precision: precision of the convolutions.
    """

    name: str
    precision: Precision

    def classes(self, image: Tensor) -> Tensor:
        """RGB uint8, or floating in [0, 1], (N, 3, H, W) on the CPU -> class ids, uint8 (N, H, W) on the CPU."""
        ...

    def logits(self, image: Tensor) -> Tensor:
        """The same input -> float32 (N, K, H, W) on the CPU. Copying costs time: prefer `classes`."""
        ...


def require(module: str, extra: str | None = None) -> Any:
    """Imports a module of an optional package.

    Args:
        module: import name.
        extra: extra of this package that installs it; None if there is none.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        package = f"'segnet[{extra}]'" if extra else module
        raise ConfigError(f"{module} is not installed; pip install {package}") from None
