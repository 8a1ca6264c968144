"""PyTorch itself: BN folded in, channels-last, convolutions in one precision, stages in strips.

The input normalisation always runs in float32: bfloat16 cannot tell neighbouring grey values apart.
"""

import torch
from torch import Tensor, fx, nn

from segnet.runtime.backend import Precision
from segnet.runtime.fold import folded
from segnet.runtime.graph import Answer
from segnet.runtime.strips import BAND_BYTES, in_strips

_IN_PRECISION = (nn.Conv2d, nn.ConvTranspose2d, nn.PReLU)


class EagerBackend:
    """A net on PyTorch's own operators.

    Args:
        model: a net of `MODELS`; stays as it is.
        device: where to run it.
        precision: `float32`, `bfloat16` or `float16`.
        band_bytes: of a strip's widest map; None computes every map whole.
    """

    name = "eager"

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        precision: Precision,
        *,
        band_bytes: int | None = BAND_BYTES,
    ) -> None:
        self.precision: Precision = precision
        self._device = device
        self._dtype: torch.dtype = getattr(torch, precision)
        self._band_bytes = band_bytes if band_bytes is not None else 2**62
        self._net = _in_precision(folded(model), self._dtype).to(device)
        self._nets: dict[Answer, fx.GraphModule] = {}

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`."""
        return self._answer(image, "classes").cpu()

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`."""
        return self._answer(image, "logits").float().cpu()

    @torch.inference_mode()
    def _answer(self, image: Tensor, answer: Answer) -> Tensor:
        if answer not in self._nets:
            self._nets[answer] = in_strips(self._net, answer, self._band_bytes)
        result: Tensor = self._nets[answer](image.to(self._device, memory_format=torch.channels_last))
        return result


class _Input(nn.Module):
    """Picture to the first convolution; in a module, so that no caller keeps the image alive."""

    def __init__(self, normalisation: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        """RGB uint8, or floating in [0, 1], (N, 3, H, W) -> normalised, the same shape."""
        image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        normalised: Tensor = self.normalisation(image)
        return normalised.to(self.dtype)


def _in_precision(net: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """Convolutions in `dtype` and channels-last, and the normalised image brought to `dtype`."""
    for module in net.modules():
        if isinstance(module, _IN_PRECISION):
            module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.normalisation = _Input(net.get_submodule("normalisation"), dtype)
    return net
