"""How much each group of channels does for the loss on training images: what to remove is what does least.

Source:
    Molchanov, Mallya, Tyree, Frosio, Kautz: Importance estimation for neural network pruning, CVPR 2019: the squared
    first-order change of the loss when a channel is set to zero, "Taylor-FO", with gates after BN.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from segnet.compression.channels import ChannelGroups
from segnet.data.sample import Batch
from segnet.device import DeviceSpec
from segnet.errors import DataError
from segnet.labels import VOID
from segnet.models.widths import layers_with_channels
from segnet.nn.losses import cross_entropy


def group_scores(
    model: nn.Module,
    groups: ChannelGroups,
    batches: Iterable[Batch],
    device_spec: DeviceSpec,
    class_weights: Tensor | None = None,
) -> dict[int, float]:
    """The importance of each group, a sum over the layers that output it.

    Args:
        model: in any mode; its parameters and mode stay as they are.
        groups: of the model.
        batches: labelled training images.
        device_spec: device and precision.
        class_weights: factor of each class in the cross entropy, (K,).

    Returns:
        Group that can be removed -> at least 0: the mean over the batches of the squared change of the loss that its
            removal would make, to first order.

    Raises:
        DataError: no batch has a labelled pixel.
    """
    layers = layers_with_channels(model)
    gated = _gates(groups, layers)
    totals = {name: torch.zeros(len(groups.layers[name].outputs)) for name in gated}
    modes = {module: module.training for module in model.modules()}
    counted = 0
    try:
        model.eval()  # BN's statistics stay, and no dropout
        for batch in batches:
            if not bool((batch.target != VOID).any()):
                continue
            counted += 1
            model.zero_grad(set_to_none=True)
            with device_spec.autocast():
                logits = model(batch.image.to(device_spec.device, memory_format=torch.channels_last))
            cross_entropy(logits.float(), batch.target.to(device_spec.device), class_weights).backward()
            for name in gated:
                totals[name] += _change(layers[name]).square().cpu()
    finally:
        model.zero_grad(set_to_none=True)
        for module, mode in modes.items():
            module.training = mode
    if not counted:
        raise DataError("pruning: none of the training images has a labelled pixel; give labelled images to prune with")
    removable = {group for block in groups.blocks for group in block}
    scores: dict[int, float] = {}
    for name, total in totals.items():
        for group, value in zip(groups.layers[name].outputs, (total / counted).tolist(), strict=True):
            if group in removable:
                scores[group] = scores.get(group, 0.0) + value
    return scores


def _gates(groups: ChannelGroups, layers: Mapping[str, nn.Module]) -> list[str]:
    """BN layers, and those convolutions whose channels no BN sees: there a channel is judged."""
    norms = [name for name in groups.layers if isinstance(layers[name], nn.BatchNorm2d)]
    seen = {group for name in norms for group in groups.layers[name].outputs}
    convolutions = [
        name
        for name, layer in groups.layers.items()
        if isinstance(layers[name], nn.Conv2d | nn.ConvTranspose2d) and not seen.issuperset(layer.outputs)
    ]
    return norms + convolutions


def _change(layer: nn.Module) -> Tensor:
    """First-order change of the loss when each output channel of the layer becomes zero, (C,): sum of value x slope."""
    change: Tensor | None = None
    transposed = isinstance(layer, nn.ConvTranspose2d)
    for parameter in layer.parameters(recurse=False):
        if parameter.grad is None:
            continue
        product = parameter.detach() * parameter.grad
        if product.dim() > 1:
            product = product.transpose(0, 1) if transposed else product
            product = product.flatten(1).sum(1)
        change = product if change is None else change + product
    assert change is not None
    return change.float()
