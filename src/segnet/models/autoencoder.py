"""The predecessor of SegNet: an encoder-decoder with pooling indices that learns without labels, by reconstructing
images.

    encoder, stage n:  convolution -> tanh -> 2x2 max pooling, which also returns indices
    decoder, bank n:   unpooling with the indices of stage n -> convolution with a trainable filter bank

SegNet took from it the indices that pass to the decoder and the filters that densify the map; it predicts labels
in place of the image, and keeps the decoder, which its predecessors discarded after training. Training without labels:
`training/pretrain.py`.

Source:
    Ranzato, Huang, Boureau, LeCun: Unsupervised learning of invariant feature hierarchies with applications to object
    recognition, CVPR 2007, as SegNet, section 2, describes it.

Chosen:
    Details that this description leaves open follow SegNet-Basic, so that the encoder can initialise it: four stages,
    7x7 filters, 64 wide, whole images. The decoder is linear, as in the description: filters with a bias, no
    activation. The last bank has `num_classes` filters: three to reconstruct an RGB image. With K of them the model is
    a segmentation model of the same shape, comparable with the others.
    Only the encoder's filters are loaded into SegNet-Basic (`load_matching`, by name). A bias has no effect there,
    since BN subtracts each map's mean; ReLU replaces tanh; the decoder's tensors have other names and are not loaded.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from segnet.nn.layers import init_he
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.pooling import PoolingIndices, max_pool, max_unpool

WIDTHS = (64, 64, 64, 64)
NUM_STAGES = len(WIDTHS)
KERNEL_PX = 7


class ConvTanh(nn.Sequential):
    """Convolution with bias and tanh; size is kept.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, KERNEL_PX, padding=KERNEL_PX // 2)
        self.tanh = nn.Tanh()


class TanhEncoder(nn.Module):
    """Stages of convolution, tanh and max pooling. The filters are named as in SegNet-Basic's encoder.

    Args:
        in_channels: C of the image.
        widths: output channels of each stage.
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        for number, width in enumerate(widths, start=1):
            self.add_module(f"stage{number}", nn.Sequential(ConvTanh(in_channels, width)))
            in_channels = width

    def forward(self, features: Tensor, first: int = 1, last: int = NUM_STAGES) -> tuple[Tensor, list[PoolingIndices]]:
        """Encodes by the stages `first` to `last`.

        Args:
            features: (N, C, H, W): the normalised image, or the output of stage `first - 1`.
            first: number of the first stage, from 1.
            last: number of the last one; below `first`, `features` are returned unchanged.

        Returns:
            Features (N, C', h, w) in (-1, 1), and the indices of each pooling, first to last.
        """
        kept = []
        for number in range(first, last + 1):
            features, indices = max_pool(self.get_submodule(f"stage{number}")(features))
            kept.append(indices)
        return features, kept


class FilterBankDecoder(nn.Module):
    """For each stage, from the deepest: unpooling, then one convolution that reconstructs the input of that stage.

    Args:
        out_channels: of the last bank.
        widths: output channels of each stage of the encoder.
    """

    def __init__(self, out_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        for number in range(len(widths), 0, -1):
            rebuilt = widths[number - 2] if number > 1 else out_channels
            bank = nn.Conv2d(widths[number - 1], rebuilt, KERNEL_PX, padding=KERNEL_PX // 2)
            self.add_module(f"bank{number}", bank)

    def forward(self, features: Tensor, indices: Sequence[PoolingIndices], first: int = 1) -> Tensor:
        """Decodes as many stages as there are indices.

        Args:
            features: (N, C, h, w), the encoder's last.
            indices: of each pooling, first to last.
            first: number of the stage that the first indices belong to.

        Returns:
            (N, C', H, W) at the size before that stage.
        """
        for number in range(first + len(indices) - 1, first - 1, -1):
            features = self.get_submodule(f"bank{number}")(max_unpool(features, indices[number - first]))
        return features


class Autoencoder(nn.Module):
    """The unsupervised encoder-decoder with pooling indices.

    Args:
        num_classes: channels of the output: 3 to reconstruct the normalised image, K for training with labels.
        normalisation: of the input, and so of the reconstruction. Its values must be around 1: tanh saturates at 255.

    Example:
        >>> model = Autoencoder(3)
        >>> seen = model.normalisation(torch.rand(1, 3, 45, 60))
        >>> torch.nn.functional.mse_loss(model.reconstruct(seen), seen).backward()
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, normalisation: Normalisation = "lcn") -> None:
        super().__init__()
        self.normalisation = create_normalisation(normalisation, in_channels)
        self.encoder = TanhEncoder(in_channels, WIDTHS)
        self.decoder = FilterBankDecoder(num_classes, WIDTHS)
        init_he(self)

    def reconstruct(self, given: Tensor, first: int = 1, last: int = NUM_STAGES) -> Tensor:
        """Encodes by the stages `first` to `last` and reconstructs the input of stage `first`.

        Args:
            given: (N, C, H, W): the normalised image, or the output of stage `first - 1`.
            first: number of the first stage, from 1.
            last: number of the last one.

        Returns:
            (N, C, H, W); C differs from the input's only where `first` is 1 and the model was created for K classes.
        """
        features, indices = self.encoder(given, first, last)
        rebuilt: Tensor = self.decoder(features, indices, first)
        return rebuilt

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], any size from 1x1 -> logits, or the reconstructed image, (N, K, H, W)."""
        return self.reconstruct(self.normalisation(image))
