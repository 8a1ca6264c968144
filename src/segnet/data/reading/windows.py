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

from segnet.data.reading.images import PIXEL_LIMIT, header_size_px, is_turned, read_image, require_pixels
from segnet.data.sample import Image8
from segnet.errors import DataError

TIFF_SUFFIXES = (".tif", ".tiff")
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
        """RGB uint8 (bottom - top, right - left, 3).

        Raises:
            DataError: the file is broken there.
        """
        ...


class WholeImage:
    """Windows of an image in memory.

    Args:
        image: RGB uint8 (H, W, 3).
    """

    note = "decoded whole"

    def __init__(self, image: Image8) -> None:
        self.image = image
        self.size_px = (image.shape[0], image.shape[1])
        self.bytes_kept = image.nbytes

    def read(self, top: int, left: int, bottom: int, right: int) -> Image8:
        """As in `Windows`."""
        return self.image[top:bottom, left:right]


class TIFFWindows:
    """Windows of a TIFF on disk, 8 or 16 bits: RGB, grey, a palette, or the first two with alpha, laid on white.

    Of 16 bits, white is 65535; that all values of an image fit 8 bits is not seen in a window of it.

    Args:
        path: of the file.

    Raises:
        DataError: not a TIFF, broken, or of other bands.
    """

    note = "read by windows"
    bytes_kept = _CACHE_MB * 2**20

    def __init__(self, path: Path) -> None:
        rasterio = import_module("rasterio")
        logging.getLogger("rasterio").addHandler(logging.NullHandler())  # what it logs is raised as well
        self._path = path
        self._window = rasterio.windows.Window
        self._error = rasterio.errors.RasterioError
        self._environment = rasterio.Env(GDAL_CACHEMAX=_CACHE_MB)
        try:
            with self._environment, warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", rasterio.errors.NotGeoreferencedWarning
                )  # a TIFF without georeference is fine
                self._file = rasterio.open(path, driver="GTiff")
        except self._error as cause:
            raise DataError(f"{path} cannot be read as a TIFF: {cause}") from None
        self.size_px = (self._file.height, self._file.width)
        meaning = [band.name for band in self._file.colorinterp]
        is_known = meaning[:3] == ["red", "green", "blue"] or meaning[0] in ("gray", "palette")
        if not is_known or self._file.dtypes[0] not in ("uint8", "uint16"):
            raise DataError(
                f"{path} has bands {', '.join(meaning)} of {self._file.dtypes[0]}; expected red, green, blue, or grey, "
                "of 8 or 16 bits; choose bands with gdal_translate -b ..."
            )
        colours = 3 if meaning[0] == "red" else 1
        self._has_alpha = "alpha" in meaning
        self._bands = [*range(1, colours + 1), *([meaning.index("alpha") + 1] if self._has_alpha else [])]
        self._palette = _palette(self._file.colormap(1)) if meaning[0] == "palette" else None

    def read(self, top: int, left: int, bottom: int, right: int) -> Image8:
        """As in `Windows`."""
        window = self._window(left, top, right - left, bottom - top)
        try:
            with self._environment:
                values = self._file.read(self._bands, window=window).transpose(1, 2, 0)  # (h, w, bands)
        except self._error as cause:
            cause = cause.__cause__ or cause  # the outer error only refers to the inner one
            raise DataError(f"{self._path} is broken near row {top}, column {left}: {cause}") from None
        if self._palette is not None:
            painted: Image8 = self._palette[values[..., 0]]
            return painted
        if values.dtype == np.uint16:
            values = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 is white
        colours = values[..., :-1] if self._has_alpha else values
        if self._has_alpha:
            share = values[..., -1:].astype(np.uint16)  # 0..255
            colours = ((colours * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
        rgb: Image8 = np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))
        return rgb


def open_windows(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Windows:
    """An image to read from: an upright TIFF by windows where the extra is installed, any other whole, turned by EXIF.

    Raises:
        DataError: missing, not an image, broken, or of more pixels than the limit.
    """
    if not _by_windows(path):
        return WholeImage(read_image(path, pixel_limit))
    windows = TIFFWindows(path)
    require_pixels(path, windows.size_px, pixel_limit)
    return windows


def size_and_kept_bytes(path: Path) -> tuple[tuple[int, int], int]:
    """(height, width) and what `open_windows` would keep in memory, by the header alone.

    Raises:
        DataError: missing, or not an image.
    """
    if _by_windows(path):
        return TIFFWindows(path).size_px, TIFFWindows.bytes_kept
    height, width = header_size_px(path)
    return (height, width), 3 * height * width


def _by_windows(path: Path) -> bool:
    return path.suffix.lower() in TIFF_SUFFIXES and find_spec("rasterio") is not None and not is_turned(path)


def _palette(colours: dict[int, tuple[int, int, int, int]]) -> Image8:
    """Index -> RGB, uint8 (number of indices, 3)."""
    return np.array([colours[index][:3] for index in sorted(colours)], np.uint8)
