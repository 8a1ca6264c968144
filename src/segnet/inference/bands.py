"""Writes the files of a large prediction band by band, so that none of them is held in memory as a whole."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import numpy as np

from segnet import palette
from segnet.data.class_files import IdsOut, as_written, class_text, palette_of
from segnet.data.reading.georeference import Georeference
from segnet.data.sample import Image8
from segnet.inference.geotiff import GeoTIFFRows
from segnet.inference.prediction import Prediction
from segnet.io.files import whole_file
from segnet.io.png import PixelKind, PNGRows

_NONE: Mapping[str, str] = MappingProxyType({})
_ROWS = 64  # overlay rows computed at a time: the float arrays of a whole band would be large


def save_bands(
    bands: Iterable[Prediction],
    size_px: tuple[int, int],
    out: Path,
    stem: str,
    *,
    opacity: float,
    ids: IdsOut = "files",
    georeference: Georeference | None = None,
    cog: bool = False,
) -> None:
    """Writes the files of `save_prediction` except the probabilities; the legend below the overlay lists all classes.

    Args:
        bands: of `predict_in_tiles`, from top to bottom.
        size_px: (height, width) of the image.
        out: folder, made if missing.
        stem: first part of the file names.
        opacity: of the class colours in the overlay, 0..1.
        ids: in `STEM-classes.png`, as for `Prediction.save`.
        georeference: of the image; then `STEM-classes.tif` is written too.
        cog: as for `GeoTIFFRows`.

    Raises:
        DataError: a file cannot be written, or the image cannot be read to its end; no file is left then.
    """
    with ExitStack() as files:
        writers: dict[str, PNGRows | GeoTIFFRows] = {}
        legend = np.zeros((0, 0, 3), np.uint8)
        for band in bands:
            if not writers:
                legend = palette.legend_below(size_px[1], band.label_set)
                overlay_px = (size_px[0] + len(legend), max(size_px[1], legend.shape[1]))
                colours, text = palette_of(band.label_set, ids), class_text(band.label_set, ids)
                writers["classes"] = _opened(files, out / f"{stem}-classes.png", size_px, colours or "grey16", text)
                writers["overlay"] = _opened(files, out / f"{stem}-overlay.png", overlay_px, "rgb")
                for name in band.grey_maps():
                    writers[name] = _opened(files, out / f"{stem}-{name}.png", size_px, "grey")
                if georeference:
                    tiff = GeoTIFFRows(
                        out / f"{stem}-classes.tif", size_px, band.label_set, georeference, ids=ids, cog=cog
                    )
                    writers["geotiff"] = files.enter_context(tiff)
                legend = _widened(legend, overlay_px[1])
            writers["classes"].write(as_written(band.classes, band.label_set, ids))
            if georeference:
                writers["geotiff"].write(band.classes)
            for top in range(0, len(band.classes), _ROWS):
                rows = slice(top, top + _ROWS)
                mixed = palette.overlay(band.rgb[rows], band.classes[rows], band.label_set, opacity)
                writers["overlay"].write(_widened(mixed, legend.shape[1]))
            for name, grey in band.grey_maps().items():
                writers[name].write(grey)
        writers["overlay"].write(legend)


def _opened(
    files: ExitStack, path: Path, size_px: tuple[int, int], colours: PixelKind | bytes, text: Mapping[str, str] = _NONE
) -> PNGRows:
    temporary = files.enter_context(whole_file(path))
    return files.enter_context(PNGRows(files.enter_context(temporary.open("wb")), size_px, colours, text))


def _widened(rows: Image8, width_px: int) -> Image8:
    """Rows padded with white at the right."""
    return np.pad(rows, ((0, 0), (0, width_px - rows.shape[1]), (0, 0)), constant_values=255)
