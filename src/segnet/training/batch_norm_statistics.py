"""Batch normalisation statistics from a pass over the training images, instead of the running averages of training.

Running averages are those of augmented crops, and lag behind the weights. A pass over whole images gives the
statistics that the model will meet when it predicts.

Source:
    SegNet, section 4: "for each evaluation we performed a complete run through the dataset to obtain batch norm
    statistics"; the authors' compute_bn_statistics.py averages mean and variance over batches.
"""

from collections.abc import Sequence

import torch
from torch import nn

from segnet.data.loader import ordered_batches
from segnet.data.sample import Dataset
from segnet.device import DeviceSpec
from segnet.training.distributed import ALONE, Processes
from segnet.training.sync_batch_norm import normalising_alone


@torch.no_grad()
def recompute_statistics(
    model: nn.Module,
    dataset: Dataset,
    device_spec: DeviceSpec,
    batch_size: int = 4,
    processes: Processes = ALONE,
) -> None:
    """Replaces the running mean and variance of every BN by their averages over the batches of one pass.

    Args:
        model: its statistics are changed, its parameters and mode are not.
        dataset: the training images, as they are; of one size where `batch_size` is above 1.
        device_spec: device and precision.
        batch_size: images per batch, each in one process; the authors' is 4.
        processes: that take turns with the batches. The average is over all of them, up to rounding that of one.

    Raises:
        ShapeError: images of one batch differ in size.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    try:
        model.eval()  # no dropout
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average over all batches
            norm.train()  # BN alone collects statistics; everything else stays in evaluation mode

        def passed() -> int:
            batches = 0
            for batch in ordered_batches(dataset, batch_size, processes.rank, processes.count):
                with device_spec.autocast():
                    model(batch.image.to(device_spec.device, memory_format=torch.channels_last))
                batches += 1
            return batches

        with normalising_alone(model):
            _average(norms, processes.each(passed), processes)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


def _average(norms: Sequence[nn.BatchNorm2d | nn.SyncBatchNorm], batches: Sequence[int], processes: Processes) -> None:
    """From averages over each process's batches to averages over all: each batch counts once.

    Args:
        norms: of the model.
        batches: how many each process had, by rank; there may be fewer batches than processes.
        processes: that had them.
    """
    if processes.count == 1 or not norms:
        return
    statistics = [part for norm in norms for part in (norm.running_mean, norm.running_var) if part is not None]
    # in float64, so that the sum adds no rounding of its own
    total = processes.sum(torch.cat(statistics).double() * batches[processes.rank]) / sum(batches)
    for part, average in zip(statistics, total.split([len(part) for part in statistics]), strict=True):
        part.copy_(average)
    for norm in norms:
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.fill_(sum(batches))
