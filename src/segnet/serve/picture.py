"""The bytes of a request -> a picture, decoded only when its header promises a size within the limits."""

from http import HTTPStatus
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from segnet.data.pictures import as_rgb
from segnet.data.sample import Image8
from segnet.serve.refusal import RefusalError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow has more, some of which start other programs
_WANTED = "a PNG, JPEG, WebP, GIF, BMP or TIFF picture"


def decode_picture(data: bytes, max_pixels: int) -> Image8:
    """Reads a picture from memory; of an animation the first frame.

    Args:
        data: the bytes of the file.
        max_pixels: of the picture; the header is asked before anything is decoded.

    Returns:
        RGB uint8 (H, W, 3), turned as its EXIF says.

    Raises:
        RefusalError: 400 for what is no picture or a broken one, 413 for one of more pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise _too_large(f"{width} x {height}", max_pixels)
            picture.load()
            return as_rgb(picture)
    except RefusalError:
        raise
    except UnidentifiedImageError:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, "not_a_picture", _WANTED, _described(data), "send the picture's own bytes"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # of its own limit, before ours is asked
        raise _too_large("a picture many times as large", max_pixels) from None
    except Exception as cause:  # Pillow raises many types for a broken file, struct.error and AttributeError among them
        came, do = f"a broken one: {str(cause) or type(cause).__name__}", "save the picture anew and send it again"
        raise RefusalError(HTTPStatus.BAD_REQUEST, "broken_picture", f"{_WANTED}, whole", came, do) from None


def _too_large(came: str, max_pixels: int) -> RefusalError:
    wanted = f"a picture of at most {max_pixels:,} pixels"
    return RefusalError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_pixels", wanted, came, "scale the picture down first"
    )


def _described(data: bytes) -> str:
    if not data:
        return "no bytes at all"
    count = "1 byte that begins" if len(data) == 1 else f"{len(data):,} bytes that begin"
    return f"{count} with {data[:8].hex(' ')}"
