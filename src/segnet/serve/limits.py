"""The limits of one request, and of all requests together."""

import math
from dataclasses import dataclass

from segnet.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds of the service; together they bound its memory and the time of each answer.

    Args:
        max_bytes: of one request's body.
        max_pixels: of one image, and of all images of one batch.
        max_side_px: of the longer side of one image.
        max_scans: of a progressive JPEG; each decodes the whole image again.
        max_chunks: of a PNG.
        slots: images that wait, run or are being sent at one time; further ones are refused.
        uploads: bodies that are being received at one time.
        per_client: share of slots, uploads and connections that one client may hold, 0..1.
        batch_size: images of one size that the model sees together, at most.
        max_samples: of a Bayesian model, for one image.
        max_sampled_pixels: pixels times samples, of one image.
        max_images: of one form.
        decoders: processes that decode images.
        decode_s: seconds for decoding one image.
        upload_s: seconds for receiving a body.
        min_bytes_per_s: a body that comes more slowly, after the first two seconds, is refused.
        answer_s: seconds from the received body to the answer.

    Raises:
        ConfigError: a bound that lets nothing through, or is not finite.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 4_000_000
    max_side_px: int = 8192
    max_scans: int = 100  # encoders write some ten
    max_chunks: int = 10_000  # 16 MiB in chunks of 8 KiB are 2048
    slots: int = 16
    uploads: int = 64
    per_client: float = 0.5
    batch_size: int = 4
    max_samples: int = 40
    max_sampled_pixels: int = 8_000_000
    max_images: int = 8
    decoders: int = 2
    decode_s: float = 5
    upload_s: float = 20
    min_bytes_per_s: int = 1024
    answer_s: float = 60

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:  # NaN is neither
                raise ConfigError(f"serve: {name}: expected more than 0, and finite, got {value}")
        if self.per_client > 1:
            raise ConfigError(f"serve: per_client: expected a share of at most 1, got {self.per_client}")

    @property
    def images_of_a_form(self) -> int:
        """Most images of one form: a client's slots must hold them."""
        return min(self.max_images, self.share_of(self.slots))

    def share_of(self, total: int) -> int:
        """How many of `total` one client may hold, at least 1."""
        return max(1, int(self.per_client * total))
