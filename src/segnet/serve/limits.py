"""What one request, and all together, may cost."""

import math
from dataclasses import dataclass

from segnet.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds of the service; together they bound its memory.

    Args:
        max_bytes: of one request's body.
        max_pixels: of one image, and of all images of one batch.
        places: images that are read, wait, run or are written at one time; who comes when all are taken is refused.
        batch_size: images of one size that the model sees together, at most.
        max_samples: of a Bayesian model, for one image.
        upload_s: seconds in which a body must have come.
        answer_s: seconds in which the model must have answered.

    Raises:
        ConfigError: a bound that lets nothing through, or is no finite number.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 4_000_000
    places: int = 16
    batch_size: int = 4
    max_samples: int = 40
    upload_s: float = 20
    answer_s: float = 60

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:  # NaN is neither
                raise ConfigError(f"serve: {name}: expected more than 0, and finite, got {value}")
