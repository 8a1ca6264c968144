from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data import windows
from segnet.data.pictures import read_picture
from segnet.data.windows import TIFFWindows, WholePicture, open_windows, size_and_kept_bytes
from segnet.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (53, 71, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _rasterio() -> None:
    pytest.importorskip("rasterio")


def palette_picture() -> Image.Image:
    picture = Image.fromarray(RGB[..., 0])
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return picture


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.fromarray(RGB),
        lambda: Image.fromarray(RGB[..., 0]),
        lambda: Image.fromarray(np.dstack([RGB, RGB[..., 1]])),
        lambda: Image.fromarray(np.dstack([RGB[..., 0], RGB[..., 1]]), "LA"),
        lambda: Image.fromarray(RGB[..., 0].astype(np.uint16) * 257),
        palette_picture,
    ],
)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_windows_say_what_pillow_says_of_the_whole(
    make: Callable[[], Image.Image], compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.tif"
    make().save(path, compression=compression)
    whole = read_picture(path).astype(int)
    picture = open_windows(path)
    assert isinstance(picture, TIFFWindows)
    assert picture.size_px == (53, 71)
    for top, left, bottom, right in ((0, 0, 53, 71), (5, 9, 6, 10), (40, 60, 53, 71)):
        window = picture.read(top, left, bottom, right)
        assert window.dtype == np.uint8
        difference = np.abs(window - whole[top:bottom, left:right])
        assert difference.max() <= 1  # one rounding of transparency or of 16 bits


def test_other_formats_are_decoded_whole(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "p.png")
    picture = open_windows(tmp_path / "p.png")
    assert isinstance(picture, WholePicture)
    assert picture.bytes_kept == RGB.nbytes
    assert np.array_equal(picture.read(3, 4, 9, 8), RGB[3:9, 4:8])


def test_a_turned_tiff_lies_as_it_does_whole(tmp_path: Path) -> None:
    path = tmp_path / "turned.tif"
    Image.fromarray(RGB).save(path, tiffinfo={274: 6})
    picture = open_windows(path)
    assert picture.note == "decoded whole"
    assert picture.size_px == (71, 53)
    assert np.array_equal(picture.read(3, 5, 40, 50), read_picture(path)[3:40, 5:50])
    assert size_and_kept_bytes(path)[1] == 3 * 71 * 53


def test_broken_tiffs_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    for broken in (b"", b"I", data[:7], b"no picture at all"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"p\.tif cannot be read as a TIFF"):
            open_windows(path)
    with pytest.raises(DataError, match=r"none\.tif"):
        open_windows(tmp_path / "none.tif")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"p\.tif"):
        open_windows(path).read(0, 0, 53, 71)


def test_mutated_tiffs_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB).save(path, compression="tiff_lzw")
    data = path.read_bytes()
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(60):
        mutated = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            mutated[place] = rng.integers(256)
        mutated[:200] = data[:200] if rng.random() < 0.5 else mutated[:200]
        path.write_bytes(bytes(mutated))
        try:
            picture = open_windows(path)
            window = picture.read(0, 0, min(53, picture.size_px[0]), min(71, picture.size_px[1]))
            assert window.dtype == np.uint8
        except DataError as error:
            assert "p.tif" in str(error)
            refused += 1
    assert refused


def test_strange_bands_and_too_many_pixels(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(path)
    with pytest.raises(DataError, match="bands gray of float32; wanted red, green, blue, or grey, of 8 or 16 bits"):
        open_windows(path)
    Image.fromarray(RGB).save(path)
    with pytest.raises(DataError, match="71x53 = 0 megapixels"):
        open_windows(path, pixel_limit=53 * 71 - 1)


def test_without_the_extra_a_tiff_is_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB).save(path)
    assert size_and_kept_bytes(path) == ((53, 71), TIFFWindows.bytes_kept)
    monkeypatch.setattr(windows, "find_spec", lambda name: None)
    picture = open_windows(path)
    assert picture.note == "decoded whole"
    assert np.array_equal(picture.read(0, 0, 53, 71), RGB)
    assert size_and_kept_bytes(path) == ((53, 71), RGB.nbytes)
