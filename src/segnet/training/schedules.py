"""Learning-rate schedules: progress of training, 0..1 -> a factor for the learning rate."""

import math
from typing import Literal

Schedule = Literal["constant", "poly", "cosine"]


def lr_multiplier(schedule: Schedule, step: int, num_steps: int, warmup_steps: int = 0) -> float:
    """The factor at `step`.

    Args:
        schedule: `constant` (the paper's); `poly`, (1 - progress) ** 0.9 (DeepLab's); `cosine`, half a cosine to 0.
        step: 0-based number of the optimiser step.
        num_steps: of the whole run.
        warmup_steps: the factor rises linearly over these first steps.

    Returns:
        A factor in (0, 1].
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
    match schedule:
        case "constant":
            return 1.0
        case "poly":
            return float((1 - progress) ** 0.9)
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
