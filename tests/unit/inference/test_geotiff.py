"""Georeferenced in, georeferenced out: the same CRS and transform, and polygons where the pixels are on Earth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.reading.georeference import georeference_of
from segnet.data.street.scenes import Street
from segnet.inference.images import ImageResults, predict_images
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.models import create_model

rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")
from rasterio.transform import Affine  # noqa: E402

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000)  # half a metre a pixel in UTM zone 33 north


def orthophoto(path: Path, size_px: tuple[int, int] = (48, 64)) -> None:
    image = Street(1, size_px, seed=2)[0].image
    height, width = size_px
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=3, dtype="uint8", crs="EPSG:32633", transform=PLACE
    ) as file:
        file.write(image.transpose(2, 0, 1))


def northing_on_the_meridian(latitude: float) -> float:
    """Of UTM on WGS 84: the length of the meridian from the equator, times 0.9996."""
    a, e2 = 6378137.0, 0.00669437999014
    angles = (np.arange(100_000) + 0.5) / 100_000 * np.radians(latitude)
    return float(0.9996 * np.radians(latitude) * np.mean(a * (1 - e2) / (1 - e2 * np.sin(angles) ** 2) ** 1.5))


def predictor() -> Predictor:
    return Predictor(create_model("fcn-basic", 11).eval(), CAMVID_11, device="cpu", precision="float32")


def predict(path: Path, **settings: Any) -> None:
    assert list(predict_images(predictor(), {path: path.stem}, ImageResults(path.parent / "out", **settings))) == []


@pytest.mark.parametrize("cog", [False, True])
def test_classes_have_the_place_of_their_image(tmp_path: Path, cog: bool) -> None:
    orthophoto(tmp_path / "field.tif")
    predict(tmp_path / "field.tif", cog=cog)
    with (
        rasterio.open(tmp_path / "out" / "field-classes.tif") as file,
        Image.open(tmp_path / "out" / "field-classes.png") as png,
    ):
        assert (file.crs.to_epsg(), file.transform) == (32633, PLACE)
        assert np.array_equal(file.read(1), np.asarray(png))
        assert file.colormap(1)[3][:3] == (128, 64, 128)
        assert file.tags(1)["class_3"] == "road"
        assert (file.nodata, file.dtypes) == (255, ("uint8",))
        assert (file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG") == cog
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "field-classes.png",
        "field-classes.tif",
        "field-overlay.png",
    ]


def test_a_tiff_without_a_place_gives_none(tmp_path: Path) -> None:
    Image.fromarray(Street(1, (48, 64))[0].image).save(tmp_path / "plain.tif")
    assert georeference_of(tmp_path / "plain.tif") is None
    predict(tmp_path / "plain.tif")
    assert not (tmp_path / "out" / "plain-classes.tif").exists()


def test_polygons_are_in_longitude_and_latitude(tmp_path: Path) -> None:
    orthophoto(tmp_path / "field.tif")
    predict(tmp_path / "field.tif", form="geojson", tolerance_px=0)
    record = json.loads((tmp_path / "out" / "field.geojson").read_text())
    points = np.concatenate([ring for f in record["features"] for ring in f["geometry"]["coordinates"]])
    # Half of the 64 pixels' 32 m: EPSG:32633 has its meridian, 15 degrees east, at 500,000 m.
    assert points[:, 0].min() == pytest.approx(15.0, abs=1e-7)
    assert points[:, 0].max() == pytest.approx(15.000444, abs=2e-6)
    assert northing_on_the_meridian(points[:, 1].max()) == pytest.approx(5_500_000, abs=0.01)
    metres = (points[:, 1].max() - points[:, 1].min()) * 111_200
    assert metres == pytest.approx(24, abs=0.1)
    for feature in record["features"]:
        outer = np.array(feature["geometry"]["coordinates"][0])
        outer = outer - outer[0]  # else the sum of products of like numbers loses their difference
        assert (outer[:-1, 0] * outer[1:, 1] - outer[1:, 0] * outer[:-1, 1]).sum() > 0


def test_tiles_give_the_same_file(tmp_path: Path) -> None:
    from segnet.data.reading.windows import open_windows
    from segnet.inference.bands import save_bands
    from segnet.inference.tiles import Tiling, predict_in_tiles

    orthophoto(tmp_path / "field.tif", (40, 480))
    image = open_windows(tmp_path / "field.tif")
    bands = predict_in_tiles(predictor(), image, Tiling(image.size_px, 416))
    place = georeference_of(tmp_path / "field.tif")
    save_bands(bands, image.size_px, tmp_path, "tiled", opacity=0.5, georeference=place, cog=True)
    with rasterio.open(tmp_path / "tiled-classes.tif") as file, Image.open(tmp_path / "tiled-classes.png") as png:
        assert file.transform == PLACE
        assert np.array_equal(file.read(1), np.asarray(png))
    assert not list(tmp_path.glob(".*"))
