"""The precision of a model: convolutions in one dtype and channels-last, the input normalisation in float32.

bfloat16 cannot distinguish neighbouring grey values, so the image is converted after normalisation.
"""

import torch
from torch import Tensor, fx, nn

_IN_PRECISION = (nn.Conv2d, nn.ConvTranspose2d, nn.PReLU)


class _Input(nn.Module):
    """Input normalisation and conversion; a module, so that no caller keeps the image in memory."""

    def __init__(self, normalisation: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        """RGB uint8, or floating in [0, 1], (N, 3, H, W) -> normalised, the same shape."""
        image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        normalised: Tensor = self.normalisation(image)
        return normalised.to(self.dtype)


def in_precision(model: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """Changes a model in place: its convolutions compute in `dtype`, its input is uint8 or floating.

    Args:
        model: from `folded`.
        dtype: of all feature maps between the normalisation and the logits.
    """
    for module in model.modules():
        if isinstance(module, _IN_PRECISION):
            module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.normalisation = _Input(model.get_submodule("normalisation"), dtype)
    return model
