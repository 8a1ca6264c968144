from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.reading import windows
from segnet.data.reading.images import read_image
from segnet.data.reading.windows import TIFFWindows, WholeImage, open_windows, size_and_kept_bytes
from segnet.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (53, 71, 3), dtype=np.uint8)
ALPHA = np.where(RGB[..., 1] < 90, RGB[..., 2], 255).astype(np.uint8)  # opaque but for a third of the pixels


@pytest.fixture(autouse=True)
def _rasterio() -> None:
    pytest.importorskip("rasterio")


def palette_image() -> Image.Image:
    image = Image.fromarray(RGB[..., 0])
    image.putpalette(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return image


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.fromarray(RGB),
        lambda: Image.fromarray(RGB[..., 0]),
        lambda: Image.fromarray(np.dstack([RGB, ALPHA])),
        lambda: Image.fromarray(np.dstack([RGB[..., 0], ALPHA]), "LA"),
        lambda: Image.fromarray(RGB[..., 0].astype(np.uint16) * 257),
        palette_image,
    ],
)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_windows_say_what_pillow_says_of_the_whole(
    make: Callable[[], Image.Image], compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.tif"
    make().save(path, compression=compression)
    whole = read_image(path).astype(int)
    image = open_windows(path)
    assert isinstance(image, TIFFWindows)
    assert image.size_px == (53, 71)
    for top, left, bottom, right in ((0, 0, 53, 71), (5, 9, 6, 10), (40, 60, 53, 71)):
        window = image.read(top, left, bottom, right)
        assert window.dtype == np.uint8
        difference = np.abs(window - whole[top:bottom, left:right])
        assert difference.max() <= 1  # one rounding of transparency or of 16 bits


def test_other_formats_are_decoded_whole(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "p.png")
    image = open_windows(tmp_path / "p.png")
    assert isinstance(image, WholeImage)
    assert image.bytes_kept == RGB.nbytes
    assert np.array_equal(image.read(3, 4, 9, 8), RGB[3:9, 4:8])


def test_a_turned_tiff_lies_as_it_does_whole(tmp_path: Path) -> None:
    path = tmp_path / "turned.tif"
    Image.fromarray(RGB).save(path, tiffinfo={274: 6})
    image = open_windows(path)
    assert image.note == "decoded whole"
    assert image.size_px == (71, 53)
    assert np.array_equal(image.read(3, 5, 40, 50), read_image(path)[3:40, 5:50])
    assert size_and_kept_bytes(path)[1] == 3 * 71 * 53


def test_broken_tiffs_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    for broken in (b"", b"I", data[:7], b"no image at all"):
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
            image = open_windows(path)
            window = image.read(0, 0, min(53, image.size_px[0]), min(71, image.size_px[1]))
            assert window.dtype == np.uint8
        except DataError as error:
            assert "p.tif" in str(error)
            refused += 1
    assert refused


def test_strange_bands_and_too_many_pixels(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(path)
    with pytest.raises(DataError, match="bands gray of float32; expected red, green, blue, or grey, of 8 or 16 bits"):
        open_windows(path)
    Image.fromarray(RGB).save(path)
    with pytest.raises(DataError, match="71x53 = 0 megapixels"):
        open_windows(path, pixel_limit=53 * 71 - 1)


def test_without_the_extra_a_tiff_is_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(RGB).save(path)
    assert size_and_kept_bytes(path) == ((53, 71), TIFFWindows.bytes_kept)
    monkeypatch.setattr(windows, "find_spec", lambda name: None)
    image = open_windows(path)
    assert image.note == "decoded whole"
    assert np.array_equal(image.read(0, 0, 53, 71), RGB)
    assert size_and_kept_bytes(path) == ((53, 71), RGB.nbytes)
