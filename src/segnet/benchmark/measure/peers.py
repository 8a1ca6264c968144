"""Models of other packages for the latency table, if they are installed.

segmentation_models_pytorch's U-Net on VGG16 with BN: an encoder like SegNet's, with feature maps as skip connections.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.models import create_model
from segnet.nn.normalisation import create_normalisation
from segnet.runtime.backend import require

SMP_UNET = "smp-unet-vgg16"


class SMPUNet(nn.Module):
    """segmentation_models_pytorch's U-Net with the input and output of our models.

    Args:
        num_classes: K.

    Raises:
        ConfigError: the package is not installed, or fails to import.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        try:
            package = require("segmentation_models_pytorch")
        except (ImportError, RuntimeError) as cause:  # such as a torchvision built for another PyTorch
            raise ConfigError(f"segmentation_models_pytorch fails to import ({cause})") from None
        self.normalisation = create_normalisation("mean_std")
        self.unet = package.Unet("vgg16_bn", encoder_weights=None, classes=num_classes)
        self.unet.requires_divisible_input_shape = False  # `forward` pads the image

    def forward(self, image: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> logits (N, K, H, W); padded to multiples of 32 in between."""
        height, width = image.shape[2], image.shape[3]
        below, right = ((side + 31) // 32 * 32 - side for side in (height, width))
        image = F.pad(self.normalisation(image), (0, right, 0, below))
        logits: Tensor = self.unet(image)
        return logits[:, :, :height, :width]


def create_peer(name: str, num_classes: int) -> nn.Module:
    """Creates a model of `MODELS`, or `SMP_UNET`; raises as `create_model` and `SMPUNet` do."""
    return SMPUNet(num_classes) if name == SMP_UNET else create_model(name, num_classes)
