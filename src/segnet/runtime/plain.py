"""Any module as it is: for models that are not of this package, which the other backends cannot rewrite."""

import torch
from torch import Tensor, nn

from segnet.device import DeviceSpec
from segnet.nn.logits import logits_of
from segnet.runtime.backend import Precision


class PlainBackend:
    """A module that is called as it is, in eval mode.

    Args:
        model: (N, C, H, W) floating in [0, 1] -> logits (N, K, H, W); on its device already.
        device_spec: device and precision of the forward pass.
    """

    name = "plain"

    def __init__(self, model: nn.Module, device_spec: DeviceSpec) -> None:
        self.precision: Precision = device_spec.precision
        self._model = model.eval()
        self._device_spec = device_spec

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`: class ids (N, H, W)."""
        return self._answer(image).argmax(1).to(torch.uint8).cpu()

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._answer(image).float().cpu()

    @torch.inference_mode()
    def _answer(self, image: Tensor) -> Tensor:
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        with self._device_spec.autocast():
            return logits_of(self._model, image.to(self._device_spec.device, memory_format=torch.channels_last))
