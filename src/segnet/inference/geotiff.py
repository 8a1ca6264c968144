"""Class ids as a GeoTIFF in the place of the image they were predicted from (extra `tiff`)."""

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType

from segnet import palette
from segnet.data.reading.georeference import Georeference
from segnet.data.sample import Image8
from segnet.io.files import whole_file
from segnet.labels import VOID, LabelSet


class GeoTIFFRows:
    """Writer of class ids whose rows are given from top to bottom; a context, after which the file is there.

    The file has the CRS and transform of the image, the colours of the classes, their names as tags, and VOID as the
    value without data.

    Args:
        path: of the file.
        size_px: (height, width).
        label_set: of the ids.
        georeference: of the image.
        cog: a Cloud Optimised GeoTIFF: in tiles, with overviews.
    """

    def __init__(
        self, path: Path, size_px: tuple[int, int], label_set: LabelSet, georeference: Georeference, *, cog: bool
    ) -> None:
        self._rasterio = import_module("rasterio")
        self._stack, self._row, self._cog, self._width = ExitStack(), 0, cog, size_px[1]
        self._temporary = self._stack.enter_context(whole_file(path))
        self._plain = self._temporary.with_suffix(".rows.tif") if cog else self._temporary
        if cog:
            self._stack.callback(self._plain.unlink, missing_ok=True)
        self._file = self._rasterio.open(
            self._plain,
            "w",
            driver="GTiff",
            height=size_px[0],
            width=size_px[1],
            count=1,
            dtype="uint8",
            crs=georeference.crs,
            transform=georeference.transform,
            nodata=VOID,
            compress="deflate",
            BIGTIFF="IF_SAFER",
        )
        colours = palette.palette_bytes(label_set)
        self._file.write_colormap(1, {value: tuple(colours[3 * value : 3 * value + 3]) for value in range(256)})
        self._file.update_tags(1, **{f"class_{class_id}": name for class_id, name in enumerate(label_set.names)})

    def __enter__(self) -> "GeoTIFFRows":
        return self

    def write(self, rows: Image8) -> None:
        """Writes the next rows, uint8 (h, W)."""
        window = self._rasterio.windows.Window(0, self._row, self._width, len(rows))
        self._file.write(rows, 1, window=window)
        self._row += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if self._cog and kind is None:
                copy = import_module("rasterio.shutil").copy
                copy(self._plain, self._temporary, driver="COG", compress="deflate", overview_resampling="nearest")
        except BaseException as failed:
            self._stack.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._stack.__exit__(kind, value, trace)
