"""The wire format, against the examples of its specification and against cut-off bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnet.caffe.protobuf import Field, read_fields, read_varints
from segnet.errors import WeightsError


def parsed(content: bytes) -> list[tuple[int, int, bytes]]:
    return [(f.number, f.varint, bytes(f.content)) for f in read_fields(memoryview(content))]


def test_the_specifications_examples() -> None:
    assert parsed(b"\x08\x96\x01") == [(1, 150, b"")]
    assert parsed(b"\x12\x07testing") == [(2, 0, b"testing")]
    assert parsed(b"\x1a\x03\x08\x96\x01") == [(3, 0, b"\x08\x96\x01")]
    assert read_varints(memoryview(b"\x03\x8e\x02\x9e\xa7\x05")) == [3, 270, 86942]


def test_fixed_fields_and_large_numbers() -> None:
    assert parsed(b"\x09abcdefgh\x15wxyz") == [(1, 0, b"abcdefgh"), (2, 0, b"wxyz")]
    assert parsed(b"\xa2\x06\x00") == [(100, 0, b"")]
    assert parsed(b"\x08" + b"\xff" * 9 + b"\x01") == [(1, 2**64 - 1, b"")]


def test_a_field_is_a_view_not_a_copy() -> None:
    buffer = bytearray(b"\x12\x03abc")
    (field,) = read_fields(memoryview(buffer))
    buffer[2:3] = b"X"
    assert isinstance(field, Field) and bytes(field.content) == b"Xbc"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x12\x07test", "field 2: expected 7 bytes, got 4: the file is truncated"),
        (b"\x08", "an integer is incomplete"),
        (b"\x08\x96", "an integer is incomplete"),
        (b"\x09abc", "field 1: expected 8 bytes, got 3"),
        (b"\x0b", "field 1 has the unknown wire type 3"),
        (b"\x00\x01", "field number 0 at byte 1"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "more than 10 bytes"),
    ],
)
def test_messages_that_are_malformed(content: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        parsed(content)


def varint(value: int) -> bytes:
    """Encodes an integer another way than the reader decodes it: from its binary digits."""
    digits = f"{value:b}"
    groups = [digits[max(end - 7, 0) : end] for end in range(len(digits), 0, -7)]
    return bytes(int(g, 2) | (128 if i < len(groups) - 1 else 0) for i, g in enumerate(groups))


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_integers_come_back(values: list[int]) -> None:
    assert read_varints(memoryview(b"".join(varint(v) for v in values))) == values


@given(st.binary(max_size=60))
def test_any_bytes_give_fields_or_our_error(content: bytes) -> None:
    try:
        fields = parsed(content)
    except WeightsError:
        return
    assert sum(len(payload) for _, _, payload in fields) <= len(content)
