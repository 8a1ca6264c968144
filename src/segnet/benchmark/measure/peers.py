"""Models of other packages as peers in the latency table, where they happen to be installed.

segmentation_models_pytorch's U-Net on VGG16 with BN: about SegNet's encoder, with whole feature maps carried across.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.models import create_model
from segnet.nn.normalisation import create_normalisation
from segnet.runtime.backend import require

SMP_UNET = "smp-unet-vgg16"


class SMPUNet(nn.Module):
    """segmentation_models_pytorch's U-Net behind the input and answer of our models.

    Args:
        num_classes: K.

    Raises:
        ConfigError: the package is not installed, or does not load.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        try:
            package = require("segmentation_models_pytorch")
        except (ImportError, RuntimeError) as cause:  # as torchvision of another build than PyTorch's
            raise ConfigError(f"segmentation_models_pytorch does not load ({cause})") from None
        self.normalisation = create_normalisation("mean_std")
        self.unet = package.Unet("vgg16_bn", encoder_weights=None, classes=num_classes)
        self.unet.requires_divisible_input_shape = False  # the image is brought to such a size below

    def forward(self, image: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> logits (N, K, H, W); in between, sides are multiples of 32."""
        height, width = image.shape[2], image.shape[3]
        below, right = ((side + 31) // 32 * 32 - side for side in (height, width))
        image = F.pad(self.normalisation(image), (0, right, 0, below))
        logits: Tensor = self.unet(image)
        return logits[:, :, :height, :width]


def create_peer(name: str, num_classes: int) -> nn.Module:
    """A key of `MODELS`, or `SMP_UNET`; errors as `create_model` and `SMPUNet`."""
    return SMPUNet(num_classes) if name == SMP_UNET else create_model(name, num_classes)
