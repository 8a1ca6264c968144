"""The optimiser of a run and its moving average."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from segnet.config import TrainSettings
from segnet.errors import ConfigError

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def create_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """One group for each learning rate and decay: encoder or not, and filters, biases of convolutions, BN's two.

    Args:
        model: parameters that require no gradient stay as they are. `encoder` is its submodule of that name.
        settings: of training.

    Raises:
        ConfigError: no parameter requires a gradient, or a factor for an encoder that the model does not have.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module) and settings.encoder_lr_factor != 1:
        raise ConfigError(
            f"train.encoder_lr_factor {settings.encoder_lr_factor}: {type(model).__name__} has no submodule `encoder`; "
            "leave it at 1, or name the part so"
        )
    of_encoder = {id(p) for p in encoder.parameters()} if isinstance(encoder, nn.Module) else set()
    norms = [module for module in model.modules() if isinstance(module, _NORMS)]
    scales, shifts = {id(norm.weight) for norm in norms}, {id(norm.bias) for norm in norms}
    bn = scales | shifts
    decayed_bn = {"filters": set(), "filters_and_bn_scale": scales, "filters_and_bn": bn}[settings.decay_on]
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        is_filter = parameter.dim() > 1
        is_bias = not is_filter and id(parameter) not in bn
        factor = settings.encoder_lr_factor if id(parameter) in of_encoder else 1.0
        factor *= settings.bias_lr_factor if is_bias else 1.0
        decay = settings.weight_decay if is_filter or id(parameter) in decayed_bn else 0.0
        members.setdefault((factor, decay), []).append(parameter)
    if not members:
        raise ConfigError(f"{type(model).__name__} has no parameter that requires a gradient, so nothing to train")
    groups = [{"params": params, "lr_factor": f, "weight_decay": d} for (f, d), params in members.items()]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.lr)


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and BN statistics; shorter at first, so it does not lag."""

    def blend(kept: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        if not kept.is_floating_point():
            return new  # counters of BN are not averaged
        return torch.lerp(kept, new, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return AveragedModel(model, avg_fn=blend, use_buffers=True)
