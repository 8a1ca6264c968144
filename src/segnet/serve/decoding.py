"""The bytes of a request -> an image, decoded only when its header promises a size within the limits."""

from http import HTTPStatus
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from segnet.data.reading.images import as_rgb
from segnet.data.sample import Image8
from segnet.serve.refusal import RefusalError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow has more, some of which start other programs
_EXPECTED = "a PNG, JPEG, WebP, GIF, BMP or TIFF image"


def decode_image(data: bytes, max_pixels: int) -> Image8:
    """Reads an image from memory; of an animation the first frame.

    Args:
        data: the bytes of the file.
        max_pixels: of the image; the header is asked before anything is decoded.

    Returns:
        RGB uint8 (H, W, 3), turned as its EXIF says.

    Raises:
        RefusalError: 400 for what is no image or a broken one, 413 for one of more pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise _too_large(f"{width} x {height}", max_pixels)
            image.load()
            return as_rgb(image)
    except RefusalError:
        raise
    except UnidentifiedImageError:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, "not_an_image", _EXPECTED, _described(data), "send the image's own bytes"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # of its own limit, before ours is asked
        raise _too_large("an image many times as large", max_pixels) from None
    except Exception as cause:  # Pillow raises many types for a broken file, struct.error and AttributeError among them
        got, do = f"a broken one: {str(cause) or type(cause).__name__}", "save the image anew and send it again"
        raise RefusalError(HTTPStatus.BAD_REQUEST, "broken_image", f"{_EXPECTED}, whole", got, do) from None


def _too_large(got: str, max_pixels: int) -> RefusalError:
    expected = f"an image of at most {max_pixels:,} pixels"
    return RefusalError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_pixels", expected, got, "scale the image down first"
    )


def _described(data: bytes) -> str:
    if not data:
        return "no bytes at all"
    count = "1 byte that begins" if len(data) == 1 else f"{len(data):,} bytes that begin"
    return f"{count} with {data[:8].hex(' ')}"
