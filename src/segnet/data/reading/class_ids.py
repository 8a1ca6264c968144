"""Reads label images that hold class ids: grey of up to 16 bits, or the indices of a palette."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segnet.data.reading.images import open_image, upright
from segnet.errors import LabelError
from segnet.labels import VOID

HIGHEST_ID = 65535
"""Of a label image: what 16 bits hold."""

_NO_DATA_TAG = 42113
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0

ClassIds = NDArray[np.uint8] | NDArray[np.uint16]


def read_class_ids(path: Path, *, equal_channels: bool = False) -> ClassIds:
    """Reads a label image of class ids, grey of up to 16 bits or a palette's indices, rotated as its EXIF says.

    Args:
        path: of the file.
        equal_channels: also read RGB with R = G = B as ids. Only for datasets of which all labels are known to be so:
            elsewhere an all-black image may well be painted in colours.

    Returns:
        (H, W), uint8; uint16 where an id is above 255.

    Raises:
        DataError: missing, not an image, or truncated.
        LabelError: an image of another kind (colours, values outside 0..65535). Pixels without data, as the file's own
            tag says, are `HIGHEST_ID` where their value is no id.
    """
    return class_ids_of(open_image(path), path, equal_channels=equal_channels)


def class_ids_of(image: Image.Image, path: Path, *, equal_channels: bool = False) -> ClassIds:
    """The class ids that a decoded label image holds; arguments, result and errors as `read_class_ids`."""
    no_data = no_data_value(image)
    is_inverted = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    image = upright(image)
    if image.mode in ("L", "P", "1"):
        ids = np.array(image.convert("L") if image.mode == "1" else image)
        # Pillow shows such a file as it looks; ids are the numbers that stand in it
        return 255 - ids if is_inverted and image.mode != "P" else ids
    if image.mode in ("LA", "PA"):  # with transparency, which says nothing of classes
        return np.asarray(image)[..., 0].copy()
    if equal_channels and image.mode in ("RGB", "RGBA"):
        rgb = np.asarray(image)[..., :3]
        if (rgb == rgb[..., :1]).all():
            return rgb[..., 0].copy()
    if image.mode.startswith("I") or image.mode == "F":  # whole numbers, which some tools store as fractions
        values = np.asarray(image)
        if no_data is not None and not 0 <= no_data <= HIGHEST_ID:
            values = np.where(np.isnan(values) | (values == no_data), HIGHEST_ID, values)
        if (values == np.floor(values)).all() and values.min(initial=0) >= 0 and values.max(initial=0) <= HIGHEST_ID:
            return values.astype(np.uint8) if values.max(initial=0) <= VOID else values.astype(np.uint16)
        raise LabelError(
            f"{path} holds {_range_of(values)}; expected class ids 0..{HIGHEST_ID}. Write another id, such as "
            f"{VOID}, for ignored pixels"
        )
    raise LabelError(
        f"{path} holds mode {image.mode} pixels; expected class ids 0..{HIGHEST_ID} as grey or palette "
        "(for labels painted in colours, name the colours in labels.toml)"
    )


def no_data_value(image: Image.Image) -> float | None:
    """The value of pixels without data, by the tag that GDAL writes into a TIFF; NaN is one, None is no tag."""
    text = image.tag_v2.get(_NO_DATA_TAG) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    try:
        return None if text is None else float(str(text).strip("\0 "))
    except ValueError:
        return None


def _range_of(values: NDArray[np.generic]) -> str:
    """The values in words: what of them is no class id."""
    numbers = values[np.isfinite(values)]
    span = f"values {numbers.min():g}..{numbers.max():g}" if numbers.size else "no numbers"
    fractions = " with fractions" if numbers.size and (numbers != np.floor(numbers)).any() else ""
    return f"{span}{fractions}{' and NaN' if numbers.size < values.size else ''}"
