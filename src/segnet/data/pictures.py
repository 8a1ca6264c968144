"""Reading pictures and label pictures from disk, whatever Pillow opens, with errors that name the file."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segnet.data.sample import Image8
from segnet.errors import DataError, LabelError


def open_picture(path: Path) -> Image.Image:
    """A picture, decoded in full.

    Raises:
        DataError: missing, not a picture, or truncated.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a picture that Pillow can read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as cause:
        raise DataError(f"{path} cannot be read as a picture: {cause}") from cause


def read_picture(path: Path) -> Image8:
    """A picture as RGB uint8 (H, W, 3), turned as its EXIF says.

    Grey becomes RGB; transparency is laid on white; palettes and CMYK are converted; 16 bits are scaled to 8.

    Raises:
        DataError: missing, not a picture, or truncated.
    """
    return as_rgb(open_picture(path))


def as_rgb(picture: Image.Image) -> Image8:
    """A decoded picture of any mode as `read_picture` gives it."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_wide(np.asarray(picture))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB"))


def _from_wide(values: np.ndarray) -> Image8:
    """Grey of 16 bits -> RGB of 8: 65535 is white; values that all fit 8 bits are taken as they are."""
    top = 255 if values.max(initial=0) <= 255 else 65535
    grey = np.rint(values.astype(np.float64).clip(0, top) * (255 / top)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read_class_ids(path: Path) -> Image8:
    """A label picture that holds class ids, uint8 (H, W): grey of 8 bits, or a palette's indices.

    Raises:
        DataError: missing, not a picture, or truncated.
        LabelError: a picture of another kind (colours, more than 8 bits).
    """
    picture = open_picture(path)
    if picture.mode not in ("L", "P", "1"):
        raise LabelError(
            f"{path} holds mode {picture.mode} pixels; wanted class ids as 8-bit grey or palette "
            "(for labels painted in colours, name the colours in labels.toml)"
        )
    return np.array(picture.convert("L") if picture.mode == "1" else picture)
