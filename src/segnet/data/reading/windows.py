"""Reads images window by window, so that memory does not grow with the size of the image.

Windows of a TIFF or GeoTIFF are read from disk (extra `tiff`). Without the extra, in other formats, and where EXIF
rotates the image, Pillow decodes the whole image to uint8.
"""

import logging
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from segnet.data.reading.bands import (
    AS_RGB,
    ImageReading,
    choose_bands,
    eight_bits,
    over_white,
    require_alpha,
    require_bands,
)
from segnet.data.reading.images import PIXEL_LIMIT, header_size_px, is_turned, read_image, require_pixels
from segnet.data.reading.raster import TIFF_SUFFIXES, without_nodata
from segnet.data.sample import Image8
from segnet.errors import DataError

_PREVIEW_PX = 256  # side of the small copy in which alpha is examined
_CACHE_MB = 128  # cache of decoded strips; without a limit GDAL uses a share of the machine's memory


class Windows(Protocol):
    """An image that can be read in parts.

    Attributes:
        size_px: (height, width).
        bytes_kept: memory that it uses while it is open.
        note: how it is read, for the user.
    """

    size_px: tuple[int, int]
    bytes_kept: int
    note: str

    def read(self, top: int, left: int, bottom: int, right: int) -> Image8:
        """uint8 (bottom - top, right - left, C); C is 3 unless bands were chosen.

        Raises:
            DataError: the file is broken there.
        """
        ...


class WholeImage:
    """Windows of an image in memory.

    Args:
        image: uint8 (H, W, C).
    """

    note = "decoded whole"

    def __init__(self, image: Image8) -> None:
        self.image = image
        self.size_px = (image.shape[0], image.shape[1])
        self.bytes_kept = image.nbytes

    def read(self, top: int, left: int, bottom: int, right: int) -> Image8:
        """As in `Windows`: (h, w, C)."""
        return self.image[top:bottom, left:right]


class TIFFWindows:
    """Windows of a TIFF on disk: RGB, grey or a palette, the first two also with alpha, which is composited on white.

    Args:
        path: of the file.
        reading: bands and range of values; without them 8 or 16 bits are expected.

    Raises:
        DataError: not a TIFF, broken, or of bands that would be dropped or taken for transparency.
    """

    note = "read by windows"
    bytes_kept = _CACHE_MB * 2**20

    def __init__(self, path: Path, reading: ImageReading = AS_RGB) -> None:
        rasterio = import_module("rasterio")
        logging.getLogger("rasterio").addHandler(logging.NullHandler())  # what it logs is raised as well
        self._path, self._reading = path, reading
        self._window = rasterio.windows.Window
        self._error = rasterio.errors.RasterioError
        self._environment = rasterio.Env(GDAL_CACHEMAX=_CACHE_MB)
        try:
            with self._environment, warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # a TIFF without it is fine
                self._file = rasterio.open(path, driver="GTiff")
        except self._error as cause:
            raise DataError(f"{path} cannot be read as a TIFF: {cause}") from None
        self.size_px = (self._file.height, self._file.width)
        meaning = [band.name for band in self._file.colorinterp]
        self._has_alpha, self._palette = False, None
        if reading.bands is not None:
            require_bands(path, reading.bands, len(meaning))
            self._bands = list(reading.bands)
            return
        is_known = meaning[:3] == ["red", "green", "blue"] or meaning[0] in ("gray", "palette")
        if not is_known or (self._file.dtypes[0] not in ("uint8", "uint16") and reading.value_range is None):
            raise DataError(
                f"{path} has bands {', '.join(meaning)} of {self._file.dtypes[0]}; expected red, green, blue, or grey, "
                "of 8 or 16 bits; choose others with --bands and --value-range"
            )
        colours = 3 if meaning[0] == "red" else 1
        self._has_alpha = "alpha" in meaning
        self._bands = [*range(1, colours + 1), *([meaning.index("alpha") + 1] if self._has_alpha else [])]
        if len(self._bands) < len(meaning):
            raise DataError(f"{path} has {choose_bands(len(meaning))}")
        if self._has_alpha:
            shape = (min(self._file.height, _PREVIEW_PX), min(self._file.width, _PREVIEW_PX))
            preview = self._values(self._bands[-1], out_shape=shape)
            require_alpha(eight_bits(preview[..., None], ImageReading(bands=(1,)), path), path)
        self._palette = _palette(self._file.colormap(1)) if meaning[0] == "palette" else None

    def read(self, top: int, left: int, bottom: int, right: int) -> Image8:
        """As in `Windows`: (h, w, C)."""
        window = self._window(left, top, right - left, bottom - top)
        try:
            values = self._values(self._bands, window=window).transpose(1, 2, 0)  # (h, w, bands)
        except self._error as cause:
            cause = cause.__cause__ or cause  # the outer error only refers to the inner one
            raise DataError(f"{self._path} is broken near row {top}, column {left}: {cause}") from None
        if self._palette is not None:
            painted: Image8 = self._palette[values[..., 0]]
            return painted
        if not self._has_alpha:
            return eight_bits(values, self._reading, self._path)
        colours = eight_bits(values[..., :-1], self._reading, self._path)  # (h, w, 3)
        alpha = eight_bits(values[..., -1:], ImageReading(bands=(1,)), self._path)[..., 0]  # (h, w)
        return over_white(colours, alpha)

    def _values(self, bands: list[int] | int, **part: object) -> np.ndarray:
        with self._environment:
            values: np.ndarray = self._file.read(bands, **part)
        return without_nodata(values, self._file.nodata)


def open_windows(path: Path, pixel_limit: int = PIXEL_LIMIT, reading: ImageReading = AS_RGB) -> Windows:
    """Opens an image: an upright TIFF by windows where the extra is installed, any other whole, rotated by EXIF.

    Args:
        path: of the file.
        pixel_limit: images of more pixels are refused.
        reading: bands and range of values.

    Raises:
        DataError: missing, not an image, broken, or of more pixels than the limit.
    """
    if not is_read_by_windows(path):
        return WholeImage(read_image(path, pixel_limit, reading))
    windows = TIFFWindows(path, reading)
    require_pixels(path, windows.size_px, pixel_limit)
    return windows


def size_and_kept_bytes(path: Path, reading: ImageReading = AS_RGB) -> tuple[tuple[int, int], int]:
    """(height, width) and what `open_windows` would keep in memory, by the header alone.

    Raises:
        DataError: missing, or not an image.
    """
    if is_read_by_windows(path):
        return TIFFWindows(path, reading).size_px, TIFFWindows.bytes_kept
    height, width = header_size_px(path)
    return (height, width), reading.num_channels * height * width


def is_read_by_windows(path: Path) -> bool:
    """Whether the file is an upright TIFF and the extra for it is installed."""
    return path.suffix.lower() in TIFF_SUFFIXES and find_spec("rasterio") is not None and not is_turned(path)


def _palette(colours: dict[int, tuple[int, int, int, int]]) -> Image8:
    """Index -> RGB, uint8 (number of indices, 3)."""
    return np.array([colours[index][:3] for index in sorted(colours)], np.uint8)
