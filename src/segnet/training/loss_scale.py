"""Loss scaling: in float16, gradients are computed of a loss times a large factor, or small ones would become zero.

Where a scaled gradient overflows, the step is left out and the factor halved; after 2000 good steps it is doubled. In
the other precisions the factor is 1 and every step is taken.

Source:
    Micikevicius et al.: Mixed precision training, ICLR 2018, section 3.2; PyTorch's `GradScaler`.
"""

from collections.abc import Callable

import torch

from segnet.device import DeviceSpec
from segnet.errors import NonFiniteError


def loss_scaler(device_spec: DeviceSpec) -> torch.amp.GradScaler:
    """The factor for training at `device_spec`, from 65536 on in float16."""
    return torch.amp.GradScaler(device_spec.device.type, enabled=device_spec.precision == "float16")


def take_step(scaler: torch.amp.GradScaler, optimiser: torch.optim.Optimizer, where: Callable[[], str]) -> bool:
    """Unscales the gradients and steps, unless one of them overflowed; then adapts the factor.

    Args:
        scaler: whose `scale(loss)` the gradients are of. Where several processes train, they must be summed already, so
            that all decide alike.
        optimiser: of the parameters.
        where: words for an error, such as `at step 3 on a.png, b.png`.

    Returns:
        Whether the step was taken.

    Raises:
        NonFiniteError: gradients overflow even without a factor; the weights are as they were.
    """
    before = scaler.get_scale()
    scaler.step(optimiser)
    scaler.update()
    after = scaler.get_scale()
    if after < 1:  # 65536 was halved 17 times in a row: the gradients themselves overflow
        raise NonFiniteError(
            f"the gradients overflow float16 {where()}, however small the loss is scaled; "
            "lower train.lr, or set train.precision to bfloat16 or float32"
        )
    return after >= before
