"""A process that decodes images: requests on standard input, images on standard output, until the input ends.

    start      `+`, once, when everything is imported
    request    length and JSON of the limits; length and bytes of the file
    answer     kind (1 byte): `I`, height, width and pixels, or `R`, length and JSON of a refusal

The parent kills it when an image takes too long, which no thread allows. Started by `decoders.py`; it imports Pillow
and NumPy, not PyTorch: 30 MB and a quarter of a second.
"""

import json
import os
import struct
import sys
from typing import BinaryIO

from segnet.serve.decoding import ImageLimits, decode_image
from segnet.serve.refusal import RefusalError

LENGTH = struct.Struct(">Q")
SIZE = struct.Struct(">II")
READY, IMAGE, REFUSAL = b"+", b"I", b"R"
_MEMORY_BYTES = 2 * 2**30  # 40 megapixels of 16-bit RGBA and their copies; a decoder that needs more is stopped


def request(limits: ImageLimits, data: bytes) -> bytes:
    """The bytes of a request, without those of the file, which follow."""
    header = json.dumps(vars(limits)).encode()
    return LENGTH.pack(len(header)) + header + LENGTH.pack(len(data))


def refusal_of(record: bytes) -> RefusalError:
    """The refusal that an answer holds."""
    return RefusalError(**json.loads(record))


def main() -> None:
    """Answers requests until standard input ends."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come between answers
    _limit_memory(_MEMORY_BYTES)
    outgoing.write(READY)
    outgoing.flush()
    while (header := _read(incoming)) is not None and (data := _read(incoming)) is not None:
        for part in _answer(ImageLimits(**json.loads(header)), data):
            outgoing.write(part)
        outgoing.flush()


def _answer(limits: ImageLimits, data: bytes) -> tuple[bytes | memoryview, ...]:
    try:
        image = decode_image(data, limits)
    except RefusalError as refusal:
        names = ("status", "error", "expected", "got", "do")
        record = json.dumps({name: getattr(refusal, name) for name in names}).encode()
        return REFUSAL, LENGTH.pack(len(record)), record
    return IMAGE, SIZE.pack(*image.shape[:2]), image.data


def _read(incoming: BinaryIO) -> bytes | None:
    """A length and so many bytes; None at the end of the input."""
    length = incoming.read(LENGTH.size)
    return incoming.read(*LENGTH.unpack(length)) if len(length) == LENGTH.size else None


def _limit_memory(most_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415 # Windows has none
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes if hard < 0 else min(most_bytes, hard), hard))


if __name__ == "__main__":
    main()
