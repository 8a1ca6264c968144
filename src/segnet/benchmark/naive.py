"""SegNet as most ports write it: the baseline of the benchmarks.

PyTorch's own pair of pooling and unpooling with flat 64-bit indices, BN and ReLU as they are, maps in PyTorch's default
order of axes. Parameters and logits are those of `segnet.models`, name by name.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.errors import ConfigError, nearest
from segnet.models import create_model

NAIVE_NETS = ("segnet", "segnet-basic")


class NaiveNet(nn.Module):
    """Runs the convolutions of one of our nets between PyTorch's poolings and unpoolings.

    Args:
        net: one of `NAIVE_NETS`; its parts are taken over.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        for name, part in net.named_children():
            self.add_module(name, part)

    def forward(self, image: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> logits (N, K, H, W)."""
        net: Any = self  # its parts are of types that only `models` knows
        encoder, decoder = net.encoder, net.decoder
        features: Tensor = net.normalisation(image)
        kept = []
        for number in range(1, encoder.num_stages + 1):
            features = encoder.get_submodule(f"stage{number}")(features)
            size = features.shape[2:]
            features, indices = F.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
            kept.append((indices, size))
        for number in range(decoder.num_stages, 0, -1):
            indices, size = kept[number - 1]
            features = F.max_unpool2d(features, indices, (2, 2), (2, 2), output_size=size)
            features = decoder.get_submodule(f"stage{number}")(features)
        logits: Tensor = net.classifier(features)
        return logits


def naive_net(name: str, num_classes: int) -> nn.Module:
    """The naive port of a net, with freshly drawn weights in the default order of axes.

    Args:
        name: one of `NAIVE_NETS`.
        num_classes: K.

    Raises:
        ConfigError: a net that has no naive port.
    """
    if name not in NAIVE_NETS:
        raise ConfigError(f"net '{name}' has no naive port; {nearest(name, NAIVE_NETS)}")
    return NaiveNet(create_model(name, num_classes)).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]
