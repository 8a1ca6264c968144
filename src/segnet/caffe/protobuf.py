"""Protocol buffers' wire format, as far as a caffemodel needs it: no schema compiler, no dependency.

A message is a row of fields, each `number << 3 | wire type` and then a value; what the value means is the reader's
knowledge. Nested messages, strings and packed numbers all look alike: a length and so many bytes.

Source:
    protobuf.dev, Encoding.
"""

from collections.abc import Iterator
from typing import NamedTuple

from segnet.errors import WeightsError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: which field.
        varint: the value of an integer field, 0 up to 2**64 - 1; 0 for the other kinds.
        content: the bytes of every other kind, little-endian: 8, 4 or as many as the message said.
    """

    number: int
    varint: int
    content: memoryview


def read_fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in the order they were written.

    Raises:
        WeightsError: the message ends in the middle of a field, or holds a kind of field that does not exist.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise WeightsError(f"field number 0 at byte {position} of a message: these are no protocol buffers")
        if wire_type == VARINT:
            value, position = _read_varint(message, position)
            yield Field(number, value, message[:0])
            continue
        if wire_type == BYTES:
            length, position = _read_varint(message, position)
        elif wire_type in (FIXED64, FIXED32):
            length = 8 if wire_type == FIXED64 else 4
        else:
            raise WeightsError(f"field {number} of the unknown kind {wire_type}: these are no protocol buffers")
        content = message[position : position + length]
        if len(content) < length:
            raise WeightsError(f"field {number} wants {length} bytes, {len(content)} are left: the file is cut off")
        position += length
        yield Field(number, 0, content)


def read_varints(packed: memoryview) -> list[int]:
    """Integers that stand one after the other, as packed repeated fields do.

    Raises:
        WeightsError: the last one is cut off.
    """
    values, position = [], 0
    while position < len(packed):
        value, position = _read_varint(packed, position)
        values.append(value)
    return values


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, lowest first, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise WeightsError("an integer is cut off: the file ends too early")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise WeightsError(f"an integer of more than 10 bytes at byte {position}: these are no protocol buffers")
