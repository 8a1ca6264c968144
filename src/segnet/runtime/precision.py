"""The precision of a model: its convolutions in one type and channels-last, its input normalisation in float32.

bfloat16 cannot tell neighbouring grey values apart, so the image is narrowed after it was normalised.
"""

import torch
from torch import Tensor, fx, nn

_IN_PRECISION = (nn.Conv2d, nn.ConvTranspose2d, nn.PReLU)


class _Input(nn.Module):
    """Image to the first convolution; in a module, so that no caller keeps the image alive."""

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
    """The same model, changed in place: its convolutions in `dtype`, its input uint8 or floating.

    Args:
        model: from `folded`.
        dtype: of all maps between the normalisation and the logits.
    """
    for module in model.modules():
        if isinstance(module, _IN_PRECISION):
            module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.normalisation = _Input(model.get_submodule("normalisation"), dtype)
    return model
