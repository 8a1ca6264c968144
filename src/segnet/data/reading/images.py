"""Reads images from disk, in any format that Pillow opens, with errors that name the file."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from segnet.data.reading.bands import (
    AS_RGB,
    ImageReading,
    array_values,
    choose_bands,
    eight_bits,
    is_16_bit_colour,
    require_all_bands,
    require_alpha,
    require_bands,
)
from segnet.data.reading.raster import (
    TIFF_SUFFIXES,
    count_of_bands,
    has_raster,
    raster_dtype,
    read_raster,
    rgb_of_raster,
)
from segnet.data.sample import Image8
from segnet.errors import DataError

PIXEL_LIMIT = 250_000_000
_NEVER_TOO_LARGE = 10_000_000  # pixels: where decoding these needs too much memory, the file is to blame

_OF_PAGES = (".tif", ".tiff", ".gif", ".webp", ".png", ".avif")
_SUBFILE_TYPE, _REDUCED_OR_MASK = 254, 0b101  # TIFF tag NewSubfileType: bit 0 a smaller copy, bit 2 a mask

_16_BITS = (
    "{} holds 16 bits in several bands, of which only 8 can be read here; install the extra: pip install segnet[tiff], "
    "or give a NumPy array"
)
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


class UnknownImageError(DataError):
    """A file in a format that Pillow does not know; TIFFs of several bands of 16 bits are among them."""


def open_image(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """Opens an image and decodes it in full.

    Args:
        path: of the file.
        pixel_limit: images of more pixels are refused by their header: a file of kilobytes can decode to gigabytes.

    Raises:
        DataError: missing, not an image, truncated, or of too many pixels.
    """
    with _opened(path) as image:
        require_pixels(path, (image.height, image.width), pixel_limit)
        image.load()
        return image


def header_size_px(path: Path) -> tuple[int, int]:
    """Reads (height, width) from the header, before any rotation by EXIF; no pixel is decoded.

    Raises:
        DataError: missing, or not an image.
    """
    with _opened(path) as image:
        return image.height, image.width


class Header(NamedTuple):
    """What an image file says before its pixels.

    Attributes:
        size_px: (height, width) before any rotation by EXIF.
        orientation: by EXIF, 1 (upright) to 8.
        num_pages: pages of a TIFF, or frames of an animation; overviews, thumbnails and masks that a TIFF stores as
            pages of their own are not counted.
        many_bits: whether it holds several bands of 16 bits, of which Pillow reads the upper 8.
    """

    size_px: tuple[int, int]
    orientation: int
    num_pages: int
    many_bits: bool

    @property
    def is_turned(self) -> bool:
        """Whether EXIF rotates or mirrors the image."""
        return self.orientation in _TURNS


def header_of(path: Path) -> Header:
    """Reads the header of an image file; no pixel is decoded.

    Raises:
        DataError: missing, or not an image that Pillow can read.
    """
    with _opened(path) as image:
        many_bits = is_16_bit_colour(image)  # first: looking for EXIF may decode the image, which then does not tell
        # Frames of other formats are no pages: the previews in a camera's JPEG, for example.
        pages = _num_pages(image) if path.suffix.lower() in _OF_PAGES else 1
        return Header((image.height, image.width), orientation(image), pages, many_bits)


def _num_pages(image: Image.Image) -> int:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    count = 0
    for page in range(image.n_frames):
        image.seek(page)
        count += not int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED_OR_MASK
    image.seek(0)
    return max(count, 1)


def pages_note(path: Path) -> str:
    """Says that only the first of several pages is read; empty for a file of one page, or that cannot be read."""
    try:
        count = header_of(path).num_pages if path.suffix.lower() in _OF_PAGES else 1
    except DataError:
        return ""
    return f"{path} holds {count} pages, of which the first is read" if count > 1 else ""


def is_turned(path: Path) -> bool:
    """Whether EXIF rotates or mirrors an image, by the header; False where Pillow cannot read it."""
    try:
        return header_of(path).is_turned
    except DataError:
        return False


def is_more_than_8_bits(path: Path) -> bool:
    """Whether a file stores more than 8 bits per value, by its header; False where it cannot be read."""
    if path.suffix.lower() == ".npy":
        try:
            return array_values(path).dtype != np.uint8
        except DataError:
            return False
    try:
        with _opened(path) as image:
            return image.mode.startswith("I") or image.mode == "F" or is_16_bit_colour(image)
    except DataError:
        # Pillow does not know TIFFs of many bands
        return path.suffix.lower() in (".tif", ".tiff") and raster_dtype(path) not in ("", "uint8")


def require_pixels(path: Path, size_px: tuple[int, int], pixel_limit: int) -> None:
    """Refuses an image of more pixels than the limit.

    Raises:
        DataError: it has more pixels than the limit.
    """
    height, width = size_px
    if height * width > pixel_limit:
        raise DataError(
            f"{path} would decode to {width}x{height} = {height * width / 1e6:.0f} megapixels, the limit is "
            f"{pixel_limit / 1e6:g}; if you trust the file, raise it (--max-megapixels of segnet predict)"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    image = None
    try:
        # Pillow's own limit, a warning from 89 megapixels on, is global to the process; ours is higher.
        with _pillow_limit:
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = before
        with image:
            yield image
    except FileNotFoundError:
        link = f" is a link to {path.readlink()}, which" if path.is_symlink() else ""
        raise DataError(f"{path}{link} does not exist") from None
    except UnidentifiedImageError:
        raise UnknownImageError(f"{path} is not an image that Pillow can read{count_of_bands(path)}") from None
    except DataError:
        raise
    except MemoryError:
        if image is None or image.height * image.width > _NEVER_TOO_LARGE:
            raise
        too_much = f"it asks for more memory than {image.width}x{image.height} pixels need; save it again"
        raise DataError(f"{path} cannot be read as an image: {too_much}") from None
    except Exception as cause:  # decoders raise many types for a damaged file
        raise DataError(f"{path} cannot be read as an image: {cause}") from cause


def read_image(path: Path, pixel_limit: int = PIXEL_LIMIT, reading: ImageReading = AS_RGB) -> Image8:
    """Reads an image as uint8 (H, W, C), rotated as its EXIF says; unreadable EXIF is ignored.

    C is 3 (RGB), or the number of `reading.bands` where they are given. Grey becomes RGB; transparency is composited on
    white; palettes and CMYK are converted; more than 8 bits are scaled as `reading` says. Of several pages the first is
    read (see `num_pages`).

    Raises:
        DataError: missing, not an image, truncated, or of more pixels than the limit; bands that would be dropped or
            taken for transparency; values without a default white.
    """
    if reading.bands is not None or path.suffix.lower() == ".npy":
        return eight_bits(read_bands(path, pixel_limit, reading.bands), reading, path)
    try:
        with _opened(path) as image:
            require_pixels(path, (image.height, image.width), pixel_limit)
            if not is_16_bit_colour(image):
                require_all_bands(image, path)
                image.load()
                return as_rgb(image, reading, path)
            if not has_raster(path):
                if reading.value_range:
                    raise DataError(_16_BITS.format(path))
                image.load()
                return as_rgb(image, reading, path)
    except UnknownImageError:  # TIFFs of 16 bits in several bands, or of fractions
        if raster_dtype(path) == "":
            raise
    raster = read_raster(path, pixel_limit)
    require_pixels(path, (raster.values.shape[0], raster.values.shape[1]), pixel_limit)
    return _turned(rgb_of_raster(raster, reading, path), path)


@contextmanager
def opened_small(path: Path, least_px: int = 64) -> Iterator[Image.Image]:
    """Opens an image for a small copy: a JPEG is decoded at a reduced size, not below `least_px` if it was larger.

    Raises:
        DataError: missing, not an image, truncated, or of more pixels than the limit.
    """
    with _opened(path) as image:
        require_pixels(path, (image.height, image.width), PIXEL_LIMIT)
        image.draft("L", (least_px, least_px))
        image.load()
        yield upright(image)


def read_bands(path: Path, pixel_limit: int, bands: Sequence[int] | None, *, of_any_number: bool = False) -> np.ndarray:
    """Reads bands with their stored values.

    Args:
        path: a TIFF (extra `tiff`), a NumPy array (H, W), (H, W, C) or (C, H, W), or any image that Pillow opens.
        pixel_limit: images of more pixels are refused.
        bands: counted from 1; None means 1 or 3 bands, as many as there are.
        of_any_number: read all bands instead, whatever their number.

    Returns:
        (H, W, C) of the stored type.

    Raises:
        DataError: missing or broken, too many pixels, or bands that the file does not have.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        stored = array_values(path)
    elif has_raster(path) and (suffix in TIFF_SUFFIXES or _is_16_bit_file(path)):
        stored = _turned(read_raster(path, pixel_limit).values, path)
    else:
        stored = _pillow_values(path, pixel_limit)
    height, width, count = stored.shape
    if height * width > pixel_limit:
        raise DataError(f"{path} has {height * width / 1e6:.0f} megapixels, the limit is {pixel_limit / 1e6:g}")
    if of_any_number:
        return stored
    if bands is None:
        if count not in (1, 3):
            raise DataError(f"{path} has {choose_bands(count)}")
        return stored
    require_bands(path, bands, count)
    chosen: np.ndarray = stored[..., [band - 1 for band in bands]]
    return chosen


def _pillow_values(path: Path, pixel_limit: int) -> np.ndarray:
    with _opened(path) as image:
        require_pixels(path, (image.height, image.width), pixel_limit)
        if is_16_bit_colour(image):
            raise DataError(_16_BITS.format(path))
        image.load()
        decoded = upright(image)
        if decoded.mode in ("P", "PA", "1", "CMYK", "YCbCr", "HSV", "LAB"):
            decoded = decoded.convert("L" if decoded.mode == "1" else "RGB")
    stored = np.asarray(decoded)
    return stored[..., None] if stored.ndim == 2 else stored


def as_rgb(image: Image.Image, reading: ImageReading = AS_RGB, name: Path | str = "the image") -> Image8:
    """Converts a decoded image of any mode as `read_image` does: RGB uint8 (H, W, 3).

    Raises:
        DataError: values without a default white, or a 4th band of a TIFF that is not transparency; names `name`.
    """
    image_format = image.format  # a rotated copy has none
    image = upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image_format == "PNG" and values.dtype == np.int32:
            values = values.astype(np.uint16)  # a PNG holds 16 bits at most; older Pillow widens them
        return eight_bits(values[..., None], reading, name)
    if image.has_transparency_data:
        has_band = image.mode.endswith("A")  # a palette's transparency is one
        image = image.convert("RGBA")
        if has_band:
            require_alpha(np.asarray(image)[..., 3], name)
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _is_16_bit_file(path: Path) -> bool:
    try:
        return header_of(path).many_bits
    except DataError:
        return False


def _turned(values: np.ndarray, path: Path) -> np.ndarray:
    """Values (H, W, C) that were read without regard to EXIF, rotated and mirrored as it says."""
    try:
        turn = header_of(path).orientation
    except DataError:
        return values
    if turn >= 5:
        values = values.swapaxes(0, 1)
    down, right = turn in (3, 4, 7, 8), turn in (2, 3, 6, 7)
    turned: np.ndarray = values[:: -1 if down else 1, :: -1 if right else 1]
    return turned


def upright(image: Image.Image) -> Image.Image:
    """The image rotated and mirrored as its EXIF says."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)  # one of them is the number 0


def orientation(image: Image.Image) -> int:
    """EXIF orientation of an image, 1..8; 1 (upright) where it is missing or unreadable."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises many types for damaged EXIF, and the pixels are intact
        return 1
