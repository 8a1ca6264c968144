"""Images of more than 8 bits or of many bands, by rasterio (extra `tiff`), where Pillow would drop bits or bands.

Pixels that a file declares as without data are NaN, or 0 where its type has no NaN: they must not become white, nor
decide on the range of values.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segnet.data.reading.bands import ImageReading, choose_bands, eight_bits, over_white, require_alpha
from segnet.data.sample import Image8
from segnet.errors import DataError

_SUFFIXES = (".tif", ".tiff", ".png", ".jp2")
TIFF_SUFFIXES = (".tif", ".tiff")


class Raster(NamedTuple):
    """What a file holds.

    Attributes:
        values: (H, W, C) of the stored type; (H, W, 0) where it has more pixels than allowed.
        meaning: of each band, such as `red`, `gray`, `alpha` or `undefined`.
    """

    values: np.ndarray
    meaning: tuple[str, ...]


def has_raster(path: Path) -> bool:
    """Whether rasterio is installed and reads files with this suffix."""
    return path.suffix.lower() in _SUFFIXES and find_spec("rasterio") is not None


def read_raster(path: Path, pixel_limit: int) -> Raster:
    """Reads all bands of a file with their stored values.

    Raises:
        DataError: missing or broken.
    """
    rasterio: Any = import_module("rasterio")
    try:
        with _opened(path) as file:
            meaning = tuple(band.name for band in file.colorinterp)
            if file.dtypes[0].startswith("complex"):
                raise DataError(f"{path} holds complex numbers; expected real ones, such as their magnitude")
            if file.height * file.width > pixel_limit:
                return Raster(np.empty((file.height, file.width, 0), np.uint8), meaning)
            return Raster(without_nodata(np.moveaxis(file.read(), 0, 2), file.nodata), meaning)
    except rasterio.errors.RasterioError as cause:
        raise DataError(f"{path} cannot be read as a TIFF: {cause.__cause__ or cause}") from None


def without_nodata(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Stored values with NaN, or 0 of types without it, in place of the value that means no data."""
    if nodata is None or np.isnan(nodata):
        return values
    missing = values == nodata
    if missing.any():
        values = values.copy()
        values[missing] = np.nan if values.dtype.kind == "f" else 0
    return values


def rgb_of_raster(raster: Raster, reading: ImageReading, path: Path) -> Image8:
    """Colours or grey, also with transparency, which is composited on white: RGB uint8 (H, W, 3).

    Raises:
        DataError: other bands, or a fourth one that is no transparency; values without a default white.
    """
    meaning = raster.meaning
    has_alpha = meaning[-1] == "alpha"
    colours = meaning[:-1] if has_alpha else meaning
    if colours not in (("red", "green", "blue"), ("gray",), ("undefined",)):
        raise DataError(f"{path} has {choose_bands(len(meaning))}")
    rgb = eight_bits(raster.values[..., : len(colours)], reading, path)
    if not has_alpha:
        return rgb
    alpha = eight_bits(raster.values[..., -1:], ImageReading(bands=(1,)), path)[..., 0]
    require_alpha(alpha, path)
    return over_white(rgb, alpha)


def count_of_bands(path: Path) -> str:
    """For the message about a TIFF that Pillow cannot read: its number of bands, where the extra `tiff` is there."""
    count, _ = _header(path)
    return f"; it has {choose_bands(count)}" if count > 1 else ""


def raster_dtype(path: Path) -> str:
    """Type of the values of a TIFF by its header; empty where it cannot be read."""
    return _header(path)[1]


def _header(path: Path) -> tuple[int, str]:
    if path.suffix.lower() not in TIFF_SUFFIXES or not has_raster(path):
        return 0, ""
    rasterio: Any = import_module("rasterio")
    try:
        with _opened(path) as file:
            return file.count, str(file.dtypes[0])
    except rasterio.errors.RasterioError:
        return 0, ""


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    rasterio: Any = import_module("rasterio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # a plain image is fine
        with rasterio.open(path) as file:
            yield file
