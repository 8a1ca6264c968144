import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from segnet.data.reading.bands import ImageReading
from segnet.data.reading.class_ids import read_class_ids
from segnet.data.reading.images import header_of, header_size_px, is_more_than_8_bits, read_image
from segnet.data.reading.windows import open_windows
from segnet.data.value_range import measure_values
from segnet.errors import DataError, LabelError
from segnet.io.png import PNGRows

RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [200, 200, 200], [0, 0, 0]]], np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_as_it_is(tmp_path: Path) -> None:
    result = read_image(save(tmp_path / "p.png", Image.fromarray(RGB)))
    assert result.dtype == np.uint8
    assert np.array_equal(result, RGB)


@pytest.mark.parametrize("suffix", ["bmp", "tiff", "webp", "gif", "ppm"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    result = read_image(save(tmp_path / f"p.{suffix}", Image.fromarray(RGB), **options))
    assert np.array_equal(result, RGB)


def test_grey_and_one_bit_become_rgb(tmp_path: Path) -> None:
    grey = np.array([[0, 100, 255]], np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "g.png", Image.fromarray(grey))), np.stack([grey] * 3, axis=-1))
    bits = Image.fromarray(grey > 50)
    assert read_image(save(tmp_path / "b.png", bits))[0, :, 0].tolist() == [0, 255, 255]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.array([[255, 0, 255], [255, 0, 255]], np.uint8)])
    result = read_image(save(tmp_path / "a.png", Image.fromarray(rgba)))
    assert result[0, 1].tolist() == [255, 255, 255]
    assert result[0, 0].tolist() == [255, 0, 0]
    palette = Image.fromarray(RGB).quantize(8)
    clear = palette.getpixel((0, 0))
    result = read_image(save(tmp_path / "t.png", palette, transparency=clear))
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[0, 2].tolist() == [0, 0, 255]


def test_cmyk(tmp_path: Path) -> None:
    path = save(tmp_path / "c.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=100)
    assert np.abs(read_image(path)[8, 8].astype(int) - [255, 0, 0]).max() <= 4  # JPEG rounds


@pytest.mark.parametrize("peak", [200, 255, 256, 300, 4095, 60000])
def test_16_bits_have_one_scale_whatever_the_highest_value_of_an_image(peak: int, tmp_path: Path) -> None:
    path = save(tmp_path / "w.png", Image.fromarray(np.array([[0, 100, peak]], np.uint16)))
    assert read_image(path)[0, :, 1].tolist() == [0, 0, round(peak / 257)]
    tenths = ImageReading(value_range=(0, 2550))
    assert read_image(path, reading=tenths)[0, :, 1].tolist() == [0, 10, min(round(peak / 10), 255)]


def test_exif_turns_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    path = save(tmp_path / "e.png", Image.fromarray(RGB), exif=exif)
    assert np.array_equal(read_image(path), np.rot90(RGB, -1))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_turns_as_pillow_does(turn: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    path = save(tmp_path / f"p.{suffix}", Image.fromarray(RGB), exif=exif)
    with Image.open(path) as image:
        assert np.array_equal(read_image(path), np.array(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(
    "damage", [b"XXXXgarbage1234", b"MM\x00*\x00\x00\x00\x08\xff\xff", b"II*\x00\xff\xff\xff\xff", b""]
)
def test_damaged_exif_is_left_aside(damage: bytes, tmp_path: Path) -> None:
    path = save(tmp_path / "p.png", Image.fromarray(RGB), exif=b"Exif\x00\x00" + damage)
    assert np.array_equal(read_image(path), RGB)


def test_numbers_with_a_fraction(tmp_path: Path) -> None:
    share = np.array([[0, 0.5, 1, np.nan]], np.float32)
    assert read_image(save(tmp_path / "f.tiff", Image.fromarray(share)))[0, :, 1].tolist() == [0, 128, 255, 0]
    for beyond in (255, 70_000, -1):
        path = save(tmp_path / "n.tiff", Image.fromarray(np.array([[0, 1, beyond]], np.float32)))
        with pytest.raises(DataError, match=r"n\.tiff holds float32 values .*data\.value_range=\[LOW,HIGH\]"):
            read_image(path)
        in_range = read_image(path, reading=ImageReading(value_range=(-1, 254)))
        assert in_range[0, :, 1].tolist() == [1, 2, min(beyond + 1, 255)]


@pytest.mark.parametrize("content", [b"", b"x", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"p\.png"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path = save(tmp_path / f"p.{suffix}", image)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"p\.{suffix}"):
        read_image(path)


def test_missing_folder_and_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError):
        read_image(tmp_path)
    path = save(tmp_path / "large.png", Image.new("L", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own limit is neither asked nor changed
    assert read_image(path, pixel_limit=1600).shape == (40, 40, 3)
    with pytest.raises(DataError, match=r"large\.png would decode to 40x40 = 0 megapixels, the limit is 0\.001599"):
        read_image(path, pixel_limit=1599)
    assert Image.MAX_IMAGE_PIXELS == 100


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that promises so many pixels."""
    with BytesIO() as file:
        png = PNGRows(file, (height, width))
        png.write(np.zeros((1, width, 3), np.uint8))
        return file.getvalue()


def test_a_bomb_of_2500_megapixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(50_000, 50_000))
    assert header_size_px(path) == (50_000, 50_000)
    with pytest.raises(DataError, match=r"50000x50000 = 2500 megapixels, the limit is 250; .*--max-megapixels"):
        read_image(path)
    path.write_bytes(png_header(10_000, 10_000))  # above the size at which Pillow warns, and within ours
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_image(path)


def test_class_ids_from_grey_palette_and_bits(tmp_path: Path) -> None:
    ids = np.array([[0, 3, 11], [255, 7, 1]], np.uint8)
    assert np.array_equal(read_class_ids(save(tmp_path / "g.png", Image.fromarray(ids))), ids)
    palette = Image.fromarray(ids)
    palette.putpalette(list(range(256)) * 3)
    assert np.array_equal(read_class_ids(save(tmp_path / "p.png", palette)), ids)
    bits = read_class_ids(save(tmp_path / "b.png", Image.fromarray(ids > 5)))
    assert (bits > 0).tolist() == (ids > 5).tolist()


def test_class_ids_from_16_bits_and_from_equal_channels(tmp_path: Path) -> None:
    path = save(tmp_path / "w.png", Image.fromarray(np.array([[0, 3, 255]], np.uint16)))
    assert read_class_ids(path).tolist() == [[0, 3, 255]] and read_class_ids(path).dtype == np.uint8
    path = save(tmp_path / "w.png", Image.fromarray(np.array([[0, 26001]], np.uint16)))
    assert read_class_ids(path).tolist() == [[0, 26001]]
    path = save(tmp_path / "e.png", Image.fromarray(np.dstack([np.array([[0, 1, 2]], np.uint8)] * 3)))
    assert read_class_ids(path, equal_channels=True).tolist() == [[0, 1, 2]]
    with pytest.raises(LabelError, match="mode RGB"):
        read_class_ids(path)


def test_class_ids_want_ids(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="mode RGB"):
        read_class_ids(save(tmp_path / "c.png", Image.fromarray(RGB)))


def raster(path: Path, bands: np.ndarray, **options: object) -> Path:
    """A TIFF or PNG by rasterio; bands (C, H, W)."""
    rasterio = pytest.importorskip("rasterio")
    count, height, width = bands.shape
    driver = "PNG" if path.suffix == ".png" else "GTiff"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no georeference
        with rasterio.open(
            path, "w", driver=driver, width=width, height=height, count=count, dtype=bands.dtype, **options
        ) as file:
            file.write(bands)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_of_16_bits_keep_all_of_them(suffix: str, tmp_path: Path) -> None:
    bands = np.array([[[0, 4095]], [[2000, 100]], [[300, 9]]], np.uint16)
    path = raster(tmp_path / f"p.{suffix}", bands, **({} if suffix == "png" else {"photometric": "RGB"}))
    assert read_image(path).tolist() == [[[0, 8, 1], [16, 0, 0]]]
    assert read_image(path, reading=ImageReading((0, 4080))).tolist() == [[[0, 125, 19], [255, 6, 1]]]
    assert header_of(path).many_bits if suffix == "png" else True
    assert is_more_than_8_bits(path)


def test_exif_turns_16_bits_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    values = np.arange(18, dtype=np.uint16).reshape(3, 2, 3) * 3000
    path = raster(tmp_path / "p.png", values)
    with Image.open(path) as image:
        for turn in range(1, 9):
            exif[ExifTags.Base.Orientation] = turn
            turned = ImageOps.exif_transpose(image)
            expected = Image.fromarray((np.moveaxis(values, 0, 2) // 257).astype(np.uint8))
            expected.getexif()[ExifTags.Base.Orientation] = turn
            expected = ImageOps.exif_transpose(expected)
            data = path.read_bytes()
            body = exif.tobytes().removeprefix(b"Exif\0\0")
            chunk = len(body).to_bytes(4, "big") + b"eXIf" + body + zlib.crc32(b"eXIf" + body).to_bytes(4, "big")
            other = tmp_path / f"t{turn}.png"
            other.write_bytes(data[:33] + chunk + data[33:])
            assert np.abs(read_image(other).astype(int) - np.asarray(expected)).max() <= 1
            assert turned is not None


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", -9999), ("int16", -9999), ("uint16", 65535)])
def test_pixels_without_data_are_black_and_decide_nothing(dtype: str, nodata: int, tmp_path: Path) -> None:
    bands = np.array([[[nodata, 1000, 2000]]] * 3, dtype)
    path = raster(tmp_path / "p.tif", bands, photometric="RGB", nodata=nodata)
    values = measure_values([path])
    assert values is not None and values.highest == 2000 and values.lowest >= 0
    reading = ImageReading((0, 2000))
    assert read_image(path, reading=reading)[0, :, 0].tolist() == [0, 128, 255]
    assert open_windows(path, reading=reading).read(0, 0, 1, 3)[0, :, 0].tolist() == [0, 128, 255]


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = raster(tmp_path / "radar.tif", np.ones((1, 2, 2), np.complex64))
    with pytest.raises(DataError, match=r"radar\.tif holds complex numbers; expected real ones"):
        read_image(path)


def test_bands_that_are_no_colours_are_not_guessed(tmp_path: Path) -> None:
    bands = np.full((3, 2, 2), 500, np.uint16)
    for count, options in ((3, {}), (4, {}), (4, {"photometric": "RGB", "alpha": "YES"})):
        path = raster(tmp_path / "p.tif", np.concatenate([bands, bands])[:count], **options)
        with pytest.raises(DataError, match=r"Choose the bands: .*--bands in prediction"):
            read_image(path)
        assert read_image(path, reading=ImageReading((0, 1000), (1, 2))).tolist() == [[[128, 128]] * 2] * 2


def test_transparency_of_16_bits_is_laid_on_white(tmp_path: Path) -> None:
    bands = np.array([[[65535, 65535]], [[0, 0]], [[0, 0]], [[65535, 0]]], np.uint16)
    assert read_image(raster(tmp_path / "p.png", bands)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_class_ids_with_transparency_and_as_fractions(tmp_path: Path) -> None:
    ids = np.array([[0, 3, 11]], np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(ids).convert("LA"))
    assert np.array_equal(read_class_ids(path), ids)
    assert np.array_equal(read_class_ids(save(tmp_path / "f.tif", Image.fromarray(ids.astype(np.float32)))), ids)
    with pytest.raises(LabelError, match=r"values 0\.\.5\.5 with fractions"):
        read_class_ids(save(tmp_path / "h.tif", Image.fromarray(ids.astype(np.float32) / 2)))


@pytest.mark.parametrize("options", [{}, {"nbits": 1}])
def test_ids_of_a_tiff_in_which_0_is_white(tmp_path: Path, options: dict[str, int]) -> None:
    ids = np.array([[0, 1, 1], [1, 0, 0]] if options else [[0, 1, 2], [3, 4, 255]], np.uint8)
    path = raster(tmp_path / "x.tif", ids[None], photometric="MINISWHITE", **options)
    with Image.open(path) as shown:
        assert np.asarray(shown.convert("L"))[0, 0] == 255  # as it looks
    assert np.array_equal(read_class_ids(path), ids * 255 if options else ids)
