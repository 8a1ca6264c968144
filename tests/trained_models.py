"""Models as after training, and images, for the tests beside."""

import torch
from torch import Tensor, nn

from segnet.models import MODELS

NARROW = {key: {"fc_channels": 8} for key in ("fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet")}


def trained(name: str) -> nn.Module:
    """A model whose BN does something to every channel, as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS[name](11, **NARROW.get(name, {})).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                nn.init.uniform_(module.weight, -1.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
    return model


def random_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))
