"""How stored values become the uint8 channels of a sample: bands, and one scale for all images of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError

_SAMPLES_PER_PIXEL = 277  # TIFF tag
_CHANNELS_LAST_UP_TO = 64  # an array (C, H, W) is told from (H, W, C) by a first axis no longer than this
_IMAGE_SHARE = 0.5  # of pixels that are neither clear nor opaque, above which a band is no transparency
_WHITE = {"uint8": 255.0, "uint16": 65535.0}  # by bit depth; fractions end at 1


@dataclass(frozen=True)
class ImageReading:
    """How stored values become uint8 channels, the same way for every image of a dataset.

    It is part of what a model was trained on, and so is stored in the card of its weights.

    Attributes:
        value_range: stored values that become 0 and 255, for images of more than 8 bits; None takes the bit depth:
            0..65535 of 16 bits, 0..1 of fractions.
        bands: numbers of the bands to read, counted from 1, in the order of the channels; None reads RGB.

    Raises:
        ConfigError: an empty range, or a band below 1.
    """

    value_range: tuple[float, float] | None = None
    bands: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ConfigError(f"value range {self.value_range}: expected two values, the lower one first")
        if self.bands is not None and (not self.bands or min(self.bands) < 1):
            raise ConfigError(f"bands {self.bands}: expected numbers counted from 1, such as 1, 2, 3")

    @property
    def num_channels(self) -> int:
        """C of the images."""
        return 3 if self.bands is None else len(self.bands)


AS_RGB = ImageReading()


def eight_bits(values: np.ndarray, reading: ImageReading, name: Path | str) -> Image8:
    """Scales stored values to 8 bits.

    Args:
        values: (H, W, C), of any number type; uint8 is returned as it is. NaN becomes 0.
        reading: the range; where it has no bands, one channel becomes RGB.
        name: of the image, for messages.

    Returns:
        uint8 (H, W, C), or (H, W, 3) where `reading` has no bands.

    Raises:
        DataError: no range is given, and the type has no default white: signed or 32-bit integers, and fractions
            outside 0..1.
    """
    if values.dtype != np.uint8:
        values = _scaled(values, reading.value_range, name)
    if reading.bands is None and values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return np.ascontiguousarray(values)


def _scaled(values: np.ndarray, value_range: tuple[float, float] | None, name: Path | str) -> Image8:
    kind = str(values.dtype)
    # float32 holds 16 bits exactly and is half as large
    numbers: NDArray[np.floating[Any]] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    numbers = np.where(np.isnan(numbers), 0, numbers)
    if value_range is None:
        lowest, highest = float(numbers.min(initial=0)), float(numbers.max(initial=0))
        white = _WHITE.get(kind, 1.0 if values.dtype.kind == "f" and lowest >= 0 and highest <= 1 else 0.0)
        if not white:
            expected = "fractions of 0..1" if values.dtype.kind == "f" else "8 or 16 bits without sign"
            raise DataError(
                f"{name} holds {kind} values {lowest:g}..{highest:g}; expected {expected}, or a range that becomes "
                "black..white: data.value_range=[LOW,HIGH] in training, --value-range in prediction"
            )
        value_range = (0.0, white)
    low, high = value_range
    return np.rint((numbers - low).clip(0, high - low) * (255 / (high - low))).astype(np.uint8)


def array_values(path: Path) -> np.ndarray:
    """Reads a NumPy array (H, W), (H, W, C) or (C, H, W) as (H, W, C).

    Raises:
        DataError: missing, broken, or of another form.
    """
    try:
        stored: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as cause:
        raise DataError(f"{path} cannot be read as an array: {cause}") from None
    if stored.ndim == 2:
        stored = stored[..., None]
    if stored.ndim != 3 or 0 in stored.shape or stored.dtype.kind not in "uif":
        raise DataError(f"{path} holds {stored.dtype} {stored.shape}; expected numbers (height, width, bands)")
    if stored.shape[2] > _CHANNELS_LAST_UP_TO >= stored.shape[0]:
        stored = np.moveaxis(stored, 0, 2)
    return stored


def require_bands(path: Path, bands: Sequence[int], count: int) -> None:
    """Refuses bands that a file of `count` bands does not have.

    Raises:
        DataError: names the missing band.
    """
    if max(bands) > count:
        raise DataError(f"{path} has {count} bands; expected band {max(bands)} of bands = {list(bands)}")


def is_16_bit_colour(image: Image.Image) -> bool:
    """Whether Pillow would cut the stored values of several bands from 16 to 8 bits; of an image not decoded yet."""
    tiles = getattr(image, "tile", [])[:1]  # only files that are not decoded yet have some
    return image.mode not in ("I", "I;16") and any(";16" in str(tile[3]) for tile in tiles)


def require_all_bands(image: Image.Image, path: Path) -> None:
    """Refuses a TIFF of bands that Pillow leaves out.

    Raises:
        DataError: says how many bands there are, and how to choose.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        count = int(image.tag_v2.get(_SAMPLES_PER_PIXEL, 1))
        if count > len(image.getbands()) and image.mode != "P":
            raise DataError(f"{path} has {choose_bands(count)}")


def require_alpha(alpha: Image8, name: Path | str) -> None:
    """Refuses a band that is tagged alpha, but holds image values, as near infrared of aerial images often is.

    Transparency is 0 or 255 nearly everywhere, and some of it is not 0. A band with other values in more than half of
    its pixels is none, and one of zeros would leave nothing of the image.

    Args:
        alpha: uint8 (H, W).
        name: of the image, for the message.

    Raises:
        DataError: says how to choose bands.
    """
    if not alpha.any():
        what = "is 0 everywhere: the whole image would be transparent"
    elif ((alpha > 0) & (alpha < 255)).mean() > _IMAGE_SHARE:
        what = "has the values of an image (near infrared?)"
    else:
        return
    raise DataError(
        f"{name}: its last band is tagged alpha, but {what}. It is not used as transparency. Choose the bands: "
        "data.bands=[1,2,3] for RGB or [1,2,3,4] for a model of 4 channels in training, --bands in prediction"
    )


def over_white(colours: Image8, alpha: Image8) -> Image8:
    """Composites an image on white: uint8 (H, W, 3) and its opacity, uint8 (H, W)."""
    share = alpha[..., None].astype(np.uint16)
    mixed: Image8 = ((colours * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    return mixed


def choose_bands(count: int) -> str:
    return (
        f"{count} bands; expected grey or RGB. Choose the bands: data.bands=[1,2,3] in training, --bands in "
        "prediction; as many as the model has input channels"
    )


def rgb_values(image: Image.Image, path: Path) -> np.ndarray:
    """The colours of a decoded image, uint8 (H, W, 3); transparency is ignored.

    Raises:
        DataError: a palette that cannot be used, which only shows now.
    """
    try:
        return np.asarray(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as cause:  # Pillow raises many types, AssertionError among them
        raise DataError(f"{path} cannot be read as an image: {cause or type(cause).__name__}; save it again") from cause


def colours_in(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.intp]]:
    """The different colours of an image.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        The M colours, (M, 3), sorted; of each pixel the position of its colour among them, (H * W,); and how many
        pixels have each, (M,).
    """
    red, green, blue = np.moveaxis(rgb.reshape(-1, 3).astype(np.uint32), -1, 0)
    # one number a pixel: NumPy sorts rows of three by comparing bytes, far more slowly
    codes, places, counts = np.unique(red << 16 | green << 8 | blue, return_inverse=True, return_counts=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.int64)
    return colours, places, counts
