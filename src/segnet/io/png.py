"""Writes a PNG row by row, for images that do not fit into memory."""

import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from segnet.errors import ShapeError

PixelKind = Literal["rgb", "grey", "grey16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE = 0, 2, 3
# Row filters: indices compress best unfiltered, RGB images as differences from the row above.
_NO_FILTER, _MINUS_ABOVE = 0, 2


class PNGRows:
    """Writer of a PNG whose rows are given from top to bottom.

    Args:
        file: opened for writing bytes.
        size_px: (height, width) of the image.
        colours: `rgb`, `grey`, `grey16`, or for an image of indices its palette: R G B of up to 256 colours.
        text: keyword -> text, both ASCII, of the file's text chunks.

    Example:
        >>> with path.open("wb") as file, PNGRows(file, (2, 3)) as png:
        ...     png.write(np.zeros((2, 3, 3), np.uint8))
    """

    def __init__(
        self,
        file: BinaryIO,
        size_px: tuple[int, int],
        colours: PixelKind | bytes = "rgb",
        text: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._file = file
        self._size_px = size_px
        self._channels = 3 if colours == "rgb" else 1
        self._dtype = np.dtype(np.uint16 if colours == "grey16" else np.uint8)
        self._filter = _NO_FILTER if isinstance(colours, bytes) else _MINUS_ABOVE
        self._above = np.zeros((1, size_px[1] * self._channels * self._dtype.itemsize), np.uint8)
        self._rows = 0
        self._deflate = zlib.compressobj(6)
        file.write(_SIGNATURE)
        kind = _PALETTE if isinstance(colours, bytes) else _RGB if colours == "rgb" else _GREY
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", size_px[1], size_px[0], 8 * self._dtype.itemsize, kind, 0, 0, 0))
        if isinstance(colours, bytes):
            self._chunk(b"PLTE", colours)
        for keyword, content in text.items():
            self._chunk(b"tEXt", keyword.encode("ascii") + b"\0" + content.encode("ascii"))

    def write(self, rows: NDArray[Any]) -> None:
        """Appends rows, uint8: (h, W, 3) of an RGB image, else (h, W), and uint16 for `grey16`; any h.

        Raises:
            ShapeError: rows of another width or kind, or more of them than the image has.
        """
        height, width = self._size_px
        expected = (width, 3) if self._channels == 3 else (width,)
        if rows.shape[1:] != expected or rows.dtype != self._dtype or self._rows + len(rows) > height:
            raise ShapeError(
                f"a PNG of {height}x{width} with {self._rows} rows expects more rows, {self._dtype} "
                f"(h, {str(expected)[1:-1]}), got {rows.dtype} {rows.shape}"
            )
        flat = rows.reshape(len(rows), width * self._channels)
        if self._dtype == np.uint16:
            flat = flat.astype(">u2").view(np.uint8)  # the filter works on bytes
        if self._filter == _MINUS_ABOVE:
            above = np.concatenate([self._above, flat])[: len(flat)]
            self._above = flat[-1:].copy() if len(flat) else self._above
            flat = flat - above  # modulo 256, as the format requires
        filtered = np.concatenate([np.full((len(flat), 1), self._filter, np.uint8), flat], axis=1)
        self._data(self._deflate.compress(filtered.tobytes()))
        self._rows += len(rows)

    def close(self) -> None:
        """Ends the file.

        Raises:
            ShapeError: rows are missing.
        """
        if self._rows != self._size_px[0]:
            raise ShapeError(f"a PNG of {self._size_px[0]} rows was closed after {self._rows}")
        self._data(self._deflate.flush())
        self._chunk(b"IEND", b"")

    def __enter__(self) -> "PNGRows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()

    def _data(self, compressed: bytes) -> None:
        if compressed:
            self._chunk(b"IDAT", compressed)

    def _chunk(self, kind: bytes, content: bytes) -> None:
        self._file.write(struct.pack(">I", len(content)) + kind + content)
        self._file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
