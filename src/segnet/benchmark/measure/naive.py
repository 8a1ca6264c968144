"""SegNet as most ports implement it: the baseline of the benchmarks for inference and training.

It uses PyTorch's own max pooling and unpooling with 64-bit flat indices, separate BN and ReLU, float32 and contiguous
(NCHW) feature maps. Its parameters and logits are those of the source model.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models.segnet import SegNet, SegNetBasic
from segnet.runtime.backend import Precision


class NaivePort(nn.Module):
    """Runs SegNet or SegNet-Basic with PyTorch's pooling and unpooling; runs other models unchanged.

    Args:
        model: a model; it is not changed, `source_model` is a copy.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.source_model: Any = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> logits (N, K, H, W)."""
        source_model = self.source_model
        if not isinstance(source_model, SegNet | SegNetBasic):
            return source_model(image)  # type: ignore[no-any-return]
        encoder, decoder = source_model.encoder, source_model.decoder
        features: Tensor = source_model.normalisation(image)
        kept = []
        for number in range(1, encoder.num_stages + 1):
            features = encoder.get_submodule(f"stage{number}")(features)
            size = features.shape[2:]
            features, indices = F.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
            features = encoder.get_submodule(f"dropout{number}")(features)
            kept.append((indices, size))
        for number in range(decoder.num_stages, 0, -1):
            indices, size = kept[number - 1]
            features = F.max_unpool2d(features, indices, (2, 2), (2, 2), output_size=size)
            features = decoder.get_submodule(f"stage{number}")(features)
            features = decoder.get_submodule(f"dropout{number}")(features)
        logits: Tensor = source_model.classifier(features)
        return logits


class NaiveBackend:
    """The naive port as a `Backend`.

    Args:
        model: a model; it is not changed.
        device: where to run it.
    """

    name = "naive"
    precision: Precision = "float32"

    def __init__(self, model: nn.Module, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._port = NaivePort(model).eval().to(self._device)

    def classes(self, image: Tensor) -> Tensor:
        """As in `Backend`, (N, H, W), but int64, as argmax returns it."""
        return self._logits(image).argmax(1).cpu()

    def logits(self, image: Tensor) -> Tensor:
        """As in `Backend`: (N, K, H, W)."""
        return self._logits(image).cpu()

    @torch.inference_mode()
    def _logits(self, image: Tensor) -> Tensor:
        logits: Tensor = self._port(image.to(self._device).float() / 255)
        return logits
