"""PyTorch itself: BN folded in, channels-last, one precision, few multiplications, stages in strips."""

import torch
from torch import Tensor, fx, nn

from segnet.runtime.backend import Precision
from segnet.runtime.fold import folded
from segnet.runtime.graph import Answer
from segnet.runtime.precision import in_precision
from segnet.runtime.strips import BAND_BYTES, in_strips
from segnet.runtime.winograd import with_winograd


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
        self._net = in_precision(folded(model), self._dtype).to(device)
        if device.type == "cpu" and self._band_bytes >= BAND_BYTES:  # its tiles want room, small bands want little
            with_winograd(self._net, self._dtype)
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
        with torch.autocast(self._device.type, enabled=False):  # a caller's would change the precision
            result: Tensor = self._nets[answer](image.to(self._device, memory_format=torch.channels_last))
        return result
