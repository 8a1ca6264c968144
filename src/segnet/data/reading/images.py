"""Reading images and label images from disk, whatever Pillow opens, with errors that name the file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from segnet.data.sample import Image8
from segnet.errors import DataError, LabelError

PIXEL_LIMIT = 250_000_000

_pillow_limit = threading.Lock()
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """An image, decoded in full.

    Args:
        path: of the file.
        pixel_limit: a file of some kilobytes can unfold to gigabytes; one of more pixels is refused by its header.

    Raises:
        DataError: missing, not an image, truncated, or of too many pixels.
    """
    with _opened(path) as image:
        require_pixels(path, (image.height, image.width), pixel_limit)
        image.load()
        return image


def header_size_px(path: Path) -> tuple[int, int]:
    """(height, width) as the header says, before any turn by EXIF; no pixel is decoded.

    Raises:
        DataError: missing, or not an image.
    """
    with _opened(path) as image:
        return image.height, image.width


def is_turned(path: Path) -> bool:
    """Whether EXIF turns an image, by the header; False where Pillow cannot read it."""
    try:
        with _opened(path) as image:
            return orientation(image) in _TURNS
    except DataError:
        return False


def require_pixels(path: Path, size_px: tuple[int, int], pixel_limit: int) -> None:
    """Whether an image of that size is to be read.

    Raises:
        DataError: it has more pixels than the limit.
    """
    height, width = size_px
    if height * width > pixel_limit:
        raise DataError(
            f"{path} would unfold to {width}x{height} = {height * width / 1e6:.0f} megapixels, the limit is "
            f"{pixel_limit / 1e6:g}; if you trust the file, raise it (--max-megapixels of segnet predict)"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        # Pillow's own limit, a warning from 89 megapixels on, is one number for the whole process; ours is above.
        with _pillow_limit:
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = before
        with image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that Pillow can read") from None
    except (DataError, MemoryError):
        raise
    except Exception as cause:  # decoders raise many types for a damaged file
        raise DataError(f"{path} cannot be read as an image: {cause}") from cause


def read_image(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Image8:
    """An image as RGB uint8 (H, W, 3), turned as its EXIF says; EXIF that cannot be read is left aside.

    Grey becomes RGB; transparency is laid on white; palettes and CMYK are converted; 16 bits are scaled to 8, and
    numbers with a fraction from 0..1.

    Raises:
        DataError: missing, not an image, truncated, or of more pixels than the limit.
    """
    with _opened(path) as image:
        require_pixels(path, (image.height, image.width), pixel_limit)
        image.load()
        return as_rgb(image)


def as_rgb(image: Image.Image) -> Image8:
    """A decoded image of any mode as `read_image` gives it."""
    if (turn := _TURNS.get(orientation(image))) is not None:  # the first turn of them is the number 0
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(np.asarray(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def orientation(image: Image.Image) -> int:
    """How an image lies by its EXIF, 1..8; 1, upright, where it does not say or cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises many types for a damaged one, and the pixels are whole
        return 1


def _from_wide(values: np.ndarray) -> Image8:
    """Grey of more than 8 bits -> RGB of 8.

    White is 65535; or 255 where all values fit 8 bits; or 1 where they are not whole numbers and none is above. NaN is
    black.
    """
    values = np.nan_to_num(values.astype(np.float64))
    highest = values.max(initial=0)
    is_share = highest <= 1 and bool((values % 1).any())
    top = 1 if is_share else 255 if highest <= 255 else 65535
    grey = np.rint(values.clip(0, top) * (255 / top)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read_class_ids(path: Path) -> Image8:
    """A label image that holds class ids, uint8 (H, W): grey of 8 bits, or a palette's indices.

    Raises:
        DataError: missing, not an image, or truncated.
        LabelError: an image of another kind (colours, more than 8 bits).
    """
    image = open_image(path)
    if image.mode not in ("L", "P", "1"):
        raise LabelError(
            f"{path} holds mode {image.mode} pixels; expected class ids as 8-bit grey or palette "
            "(for labels painted in colours, name the colours in labels.toml)"
        )
    return np.array(image.convert("L") if image.mode == "1" else image)
