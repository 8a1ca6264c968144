"""Where on Earth the pixels of a GeoTIFF are (extra `tiff`)."""

import logging
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from segnet.data.reading.windows import is_read_by_windows
from segnet.errors import DataError

_WGS84 = "EPSG:4326"


@dataclass(frozen=True)
class Georeference:
    """Coordinate reference system and place of an image.

    Attributes:
        crs: of rasterio; None where the file has only a transform.
        transform: rasterio's affine transform, (x, y) in pixels from the upper left corner -> coordinates of the CRS.
    """

    crs: Any
    transform: Any

    def map_points(self, corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """(x, y) in pixels -> coordinates of the CRS."""
        t = self.transform
        return [(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for x, y in corners]

    def lon_lat(self, corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """(x, y) in pixels -> longitude and latitude in degrees (WGS 84), or the map's own where there is no CRS."""
        xs, ys = zip(*self.map_points(corners), strict=True)
        if self.crs is None:
            return list(zip(xs, ys, strict=True))
        xs, ys = import_module("rasterio.warp").transform(self.crs, _WGS84, xs, ys)
        return [(round(x, 9), round(y, 9)) for x, y in zip(xs, ys, strict=True)]  # a tenth of a millimetre


def georeference_of(path: Path) -> Georeference | None:
    """Of a GeoTIFF; None for other images, for a TIFF without one, and without the extra `tiff`.

    Raises:
        DataError: the file cannot be read.
    """
    if not is_read_by_windows(path):
        return None
    rasterio = import_module("rasterio")
    logging.getLogger("rasterio").addHandler(logging.NullHandler())  # what it logs is raised as well
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as file:
                found = Georeference(file.crs, file.transform)
    except rasterio.errors.RasterioError as cause:
        raise DataError(f"{path} cannot be read as a TIFF: {cause}") from None
    return None if found.crs is None and found.transform.is_identity else found
