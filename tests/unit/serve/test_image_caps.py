import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from segnet.serve.image_caps import count_chunks, count_scans


def encoded(kind: str, **options: object) -> bytes:
    file = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)  # much entropy-coded data
    Image.fromarray(pixels).save(file, format=kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(("progressive", "scans"), [(False, 1), (True, 10)])
def test_scans_of_a_jpeg(progressive: bool, scans: int) -> None:
    data = encoded("JPEG", progressive=progressive, quality=95)
    assert count_scans(data, 100) == scans  # libjpeg's own script for colour has ten


def test_a_thumbnail_is_not_counted_and_scans_after_it_are() -> None:
    data = encoded("JPEG")
    thumbnail = encoded("JPEG", progressive=True)
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert count_scans(data[:2] + segment + data[2:], 100) == 1


def test_counting_ends_above_the_limit() -> None:
    scan = b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\x00\x00\x3f\x00"
    assert count_scans(b"\xff\xd8" + scan * 1000, 100) == 101


def test_chunks_of_a_png() -> None:
    data = encoded("PNG")
    assert count_chunks(data, 100) == 3
    empty = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    assert count_chunks(data[:33] + 40 * empty + data[33:], 100) == 43
    assert count_chunks(data[:33] + 400 * empty + data[33:], 100) == 101


def test_other_formats_have_neither() -> None:
    data = encoded("BMP")
    assert (count_scans(data, 100), count_chunks(data, 100)) == (0, 0)
    assert (count_scans(b"", 100), count_chunks(b"", 100)) == (0, 0)
