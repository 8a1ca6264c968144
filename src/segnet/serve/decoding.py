"""The bytes of a request -> an image, decoded only when its header promises a size within the limits.

Imported by the decoding processes: no PyTorch, no pydantic, nothing of the service beyond `refusal`.
"""

from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from segnet.data.reading.images import as_rgb
from segnet.data.sample import Image8
from segnet.serve.image_caps import count_chunks, count_scans
from segnet.serve.refusal import RefusalError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow has more, some of which start other programs
_EXPECTED = "a PNG, JPEG, WebP, GIF, BMP or TIFF image"


@dataclass(frozen=True)
class ImageLimits:
    """What an image may cost to decode.

    Args:
        max_pixels: width times height.
        max_side_px: of the longer side.
        max_scans: of a JPEG.
        max_chunks: of a PNG.
    """

    max_pixels: int
    max_side_px: int
    max_scans: int
    max_chunks: int


def decode_image(data: bytes, limits: ImageLimits) -> Image8:
    """Reads an image from memory; of an animation the first frame.

    Args:
        data: the bytes of the file.
        limits: checked on the header and the file's structure before anything is decoded.

    Returns:
        RGB uint8 (H, W, 3), rotated as its EXIF says.

    Raises:
        RefusalError: 400 for what is not an image or a broken one, 413 for one beyond the limits.
    """
    try:
        _require_few(count_scans(data, limits.max_scans), limits.max_scans, "scans", "a baseline JPEG")
        _require_few(count_chunks(data, limits.max_chunks), limits.max_chunks, "chunks", "a PNG of fewer chunks")
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            require_size((image.height, image.width), limits.max_pixels, limits.max_side_px)
            image.load()
            return np.ascontiguousarray(as_rgb(image))
    except RefusalError:
        raise
    except UnidentifiedImageError:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, "not_an_image", _EXPECTED, _described(data), "send the image's own bytes"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # Pillow's own limit, before ours is checked
        raise _too_large("an image many times as large", limits.max_pixels) from None
    except Exception as cause:  # Pillow raises many types for a broken file, struct.error and AttributeError among them
        raise broken_image(f"a broken one: {str(cause) or type(cause).__name__}") from None


def require_size(size_px: tuple[int, ...], max_pixels: int, max_side_px: int) -> None:
    """Whether an image of this (height, width) is within the limits.

    Raises:
        RefusalError: 413, it is not.
    """
    height, width = size_px
    if width * height > max_pixels:
        raise _too_large(f"{width} x {height}", max_pixels)
    if max(width, height) > max_side_px:
        expected = f"sides of at most {max_side_px:,} pixels"
        raise _refused(expected, f"{width} x {height}", "scale the image down, or cut it", "too_long_side")


def broken_image(got: str) -> RefusalError:
    """400: the file begins like an image and cannot be decoded."""
    do = "save the image again and send that file"
    return RefusalError(HTTPStatus.BAD_REQUEST, "broken_image", f"{_EXPECTED}, whole", got, do)


def _require_few(count: int, most: int, things: str, remedy: str) -> None:
    if count > most:
        raise _refused(f"an image of at most {most:,} {things}", "more", f"save it as {remedy}", f"too_many_{things}")


def _refused(expected: str, got: str, do: str, error: str) -> RefusalError:
    return RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error, expected, got, do)


def _too_large(got: str, max_pixels: int) -> RefusalError:
    return _refused(f"an image of at most {max_pixels:,} pixels", got, "scale the image down first", "too_many_pixels")


def _described(data: bytes) -> str:
    if not data:
        return "no bytes"
    count = "1 byte that begins" if len(data) == 1 else f"{len(data):,} bytes that begin"
    return f"{count} with {data[:8].hex(' ')}"
