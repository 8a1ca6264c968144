"""Batch normalisation statistics from a pass over the training images, instead of the running averages of training.

Running averages are those of augmented crops, and lag behind the weights. A pass over whole images gives the
statistics that the model will meet when it predicts.

Source:
    SegNet, section 4: "for each evaluation we performed a complete run through the dataset to obtain batch norm
    statistics"; the authors' compute_bn_statistics.py averages mean and variance over batches.
"""

import torch
from torch import nn

from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset
from segnet.device import DeviceSpec


@torch.no_grad()
def recompute_statistics(model: nn.Module, dataset: Dataset, device_spec: DeviceSpec, batch_size: int = 4) -> None:
    """Replaces the running mean and variance of every BN by their averages over the batches of one pass.

    Args:
        model: its statistics are changed, its parameters and mode are not.
        dataset: the training images, as they are; of one size where `batch_size` is above 1.
        device_spec: device and precision.
        batch_size: images per batch; the authors' is 4.

    Raises:
        ShapeError: images of one batch differ in size.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    try:
        model.eval()  # no dropout
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average over all batches
            norm.train()  # BN alone collects statistics; everything else stays in evaluation mode
        for batch in ordered_batches(dataset, batch_size):
            with device_spec.autocast():
                model(batch.image.to(device_spec.device, memory_format=torch.channels_last))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
