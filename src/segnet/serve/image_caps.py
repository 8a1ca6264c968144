"""Counts of what makes a small file slow to decode: scans of a JPEG, chunks of a PNG. Nothing is decoded.

Source:
    libjpeg-turbo: "Two Issues with the JPEG Standard" advises applications to limit the scans of progressive files,
    each of which goes over all coefficients of the image again.
"""

import re

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # not the stuffed zero of entropy-coded data, nor restarts
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset((0x01, 0xD8, 0xD9))  # TEM, SOI, EOI


def count_scans(data: bytes, stop_above: int) -> int:
    """Scans of a JPEG; 0 for other formats. Thumbnails within its segments are not counted.

    Args:
        data: bytes of the file.
        stop_above: count no further than one more than this.
    """
    if not data.startswith(_JPEG):
        return 0
    scans, position = 0, len(_JPEG)
    while scans <= stop_above and (found := _MARKER.search(data, position)):
        kind, position = found[1][0], found.end()
        scans += kind == _START_OF_SCAN
        if kind not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
    return scans


def count_chunks(data: bytes, stop_above: int) -> int:
    """Chunks of a PNG; 0 for other formats.

    Args:
        data: bytes of the file.
        stop_above: count no further than one more than this.
    """
    if not data.startswith(_PNG):
        return 0
    chunks, position = 0, len(_PNG)
    while chunks <= stop_above and position < len(data):
        chunks += 1
        position += 12 + int.from_bytes(data[position : position + 4], "big")  # length, type, content, checksum
    return chunks
