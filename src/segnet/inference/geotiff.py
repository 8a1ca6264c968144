"""Class ids as a GeoTIFF in the place of the image they were predicted from (extra `tiff`)."""

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType

import numpy as np

from segnet.data.class_files import IdsOut, as_written, palette_of, written_ids
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
        ids: that are written, as for `Prediction.save`.
        cog: a Cloud Optimised GeoTIFF: in tiles, with overviews.
    """

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        label_set: LabelSet,
        georeference: Georeference,
        *,
        ids: IdsOut,
        cog: bool,
    ) -> None:
        self._rasterio = import_module("rasterio")
        self._stack, self._row, self._cog, self._width = ExitStack(), 0, cog, size_px[1]
        self._label_set, self._ids = label_set, ids
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
            dtype=as_written(np.zeros(1, np.uint8), label_set, ids).dtype,
            crs=georeference.crs,
            transform=georeference.transform,
            nodata=VOID,
            compress="deflate",
            BIGTIFF="IF_SAFER",
        )
        colours = palette_of(label_set, ids)
        if colours is not None:
            table = {value: tuple(colours[3 * value : 3 * value + 3]) for value in range(256)}
            self._file.write_colormap(1, table)
        numbers = written_ids(label_set, ids)
        self._file.update_tags(1, **{f"class_{i}": name for i, name in zip(numbers, label_set.names, strict=True)})

    def __enter__(self) -> "GeoTIFFRows":
        return self

    def write(self, rows: Image8) -> None:
        """Writes the next rows, class ids uint8 (h, W)."""
        window = self._rasterio.windows.Window(0, self._row, self._width, len(rows))
        self._file.write(as_written(rows, self._label_set, self._ids), 1, window=window)
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
