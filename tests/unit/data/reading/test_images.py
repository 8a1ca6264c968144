from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from segnet.data.reading.bands import ImageReading
from segnet.data.reading.images import header_size_px, read_class_ids, read_image
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
