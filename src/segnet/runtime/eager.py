"""PyTorch's own operators: BN folded into convolutions, channels-last, one precision, Winograd, strips."""

import torch
from torch import Tensor, fx, nn

from segnet.runtime.backend import Precision
from segnet.runtime.fold import folded
from segnet.runtime.graph import Answer
from segnet.runtime.precision import in_precision
from segnet.runtime.strips import BAND_BYTES, in_strips
from segnet.runtime.winograd import with_winograd


class EagerBackend:
    """Runs a model on PyTorch's own operators.

    Args:
        model: a model of `MODELS`; it is not changed.
        device: where to run it.
        precision: `float32`, `bfloat16` or `float16`.
        band_bytes: size of the largest feature map of a band; None computes whole feature maps.
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
        self._model = in_precision(folded(model), self._dtype).to(device)
        if device.type == "cpu" and self._band_bytes >= BAND_BYTES:  # Winograd tiles need memory that small bands avoid
            with_winograd(self._model, self._dtype)
        self._models: dict[Answer, fx.GraphModule] = {}

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`: class ids (N, H, W)."""
        return self._answer(image, "classes").cpu()

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._answer(image, "logits").float().cpu()

    @torch.inference_mode()
    def _answer(self, image: Tensor, answer: Answer) -> Tensor:
        if answer not in self._models:
            self._models[answer] = in_strips(self._model, answer, self._band_bytes)
        with torch.autocast(self._device.type, enabled=False):  # the caller's autocast would change the precision
            result: Tensor = self._models[answer](image.to(self._device, memory_format=torch.channels_last))
        return result
