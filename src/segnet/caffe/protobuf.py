"""The wire format of protocol buffers, as far as a caffemodel needs it, without a dependency.

A message is a sequence of fields, each `number << 3 | wire type` followed by a value. Nested messages, strings and
packed numbers share one wire type, a length and that many bytes; the reader must know which of them a field is.

Source:
    protobuf.dev, Encoding.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from segnet.errors import WeightsError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: field number.
        varint: value of an integer field, 0 up to 2**64 - 1; 0 for other wire types.
        content: bytes of any other wire type, little-endian: 8, 4 or the stated length.
    """

    number: int
    varint: int
    content: memoryview


def read_fields(message: memoryview) -> Iterator[Field]:
    """Yields the fields of a message in file order.

    Raises:
        WeightsError: the message ends inside a field, or has an unknown wire type.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise WeightsError(f"field number 0 at byte {position} of a message: not protocol buffers")
        if wire_type == VARINT:
            value, position = _read_varint(message, position)
            yield Field(number, value, message[:0])
            continue
        if wire_type == BYTES:
            length, position = _read_varint(message, position)
        elif wire_type in (FIXED64, FIXED32):
            length = 8 if wire_type == FIXED64 else 4
        else:
            raise WeightsError(f"field {number} has the unknown wire type {wire_type}: not protocol buffers")
        content = message[position : position + length]
        if len(content) < length:
            raise WeightsError(f"field {number}: expected {length} bytes, got {len(content)}: the file is truncated")
        position += length
        yield Field(number, 0, content)


def read_varints(packed: memoryview) -> list[int]:
    """Reads the integers of a packed repeated field.

    Raises:
        WeightsError: the last one is truncated.
    """
    values, position = [], 0
    while position < len(packed):
        value, position = _read_varint(packed, position)
        values.append(value)
    return values


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Reads an integer of 7 bits per byte, lowest first; returns it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise WeightsError("an integer is incomplete: the file is truncated")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise WeightsError(f"an integer of more than 10 bytes at byte {position}: not protocol buffers")


def integer_field(number: int, value: int) -> bytes:
    """The bytes of an integer field; `value` at least 0."""
    return _varint(number << 3 | VARINT) + _varint(value)


def bytes_field(number: int, content: bytes) -> bytes:
    """The bytes of a field that holds a string, a message or packed numbers."""
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def packed_varints(values: Iterable[int]) -> bytes:
    """The inverse of `read_varints`."""
    return b"".join(map(_varint, values))


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
