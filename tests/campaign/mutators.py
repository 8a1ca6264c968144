"""Seeded changes of files: blind ones, and ones that keep a format's frame so that a change reaches what lies within.

Every mutator takes bytes and a random source and gives bytes; the same seed gives the same input.
"""

import json
import random
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes]
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    10**30,
    1e300,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x.png",
    "/etc/passwd",
    "\x00",
    "\ud800",
    [],
    {},
    [[]],
    [0],
    [[0, 0]],
    [[1e308, -1e308]],
    {"": []},
    "9" * 5000,
    [None] * 50,
)


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if changed:
            changed[int(rng.random() ** rng.choice((1, 3)) * len(changed))] = rng.randrange(256)  # headers more often
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def swap(data: bytes, rng: random.Random) -> bytes:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    a, b, c, d = cuts
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:a] + data[a:b] * rng.choice((0, 2, 3, 20)) + data[b:]


def length(data: bytes, rng: random.Random) -> bytes:
    """A number of 1, 2, 4 or 8 bytes replaced by one at an edge: lengths, sizes, offsets, counts."""
    size = rng.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    at = int(rng.random() ** 2 * (len(data) - size + 1))
    value = (rng.choice(NUMBERS) + rng.choice((-1, 0, 0, 1))) % 256**size
    return data[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


BLIND: tuple[Mutator, ...] = (flip, truncate, swap, repeat, length)


def blind(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(BLIND)(data, rng)
    return data


def png(data: bytes, rng: random.Random) -> bytes:
    """Chunks changed, swapped, repeated or dropped, with checksums that are right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return blind(data, rng)
    for _ in range(rng.randint(1, 2)):
        number = rng.randrange(len(chunks))
        name, content = chunks[number]
        what = rng.randrange(6)
        if what == 0:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[number])
        elif what == 1 and len(chunks) > 1:
            del chunks[number]
        elif what == 2:
            other = rng.randrange(len(chunks))
            chunks[number], chunks[other] = chunks[other], chunks[number]
        elif what == 3 and name == b"IDAT":
            raw = bytearray(zlib.decompressobj().decompress(content))
            chunks[number] = (name, zlib.compress(blind(bytes(raw), rng)))
        elif what == 4:
            chunks.insert(
                rng.randrange(len(chunks)),
                (
                    rng.choice(
                        (
                            b"tRNS",
                            b"PLTE",
                            b"eXIf",
                            b"acTL",
                            b"fcTL",
                            b"gAMA",
                            b"iCCP",
                            b"zTXt",
                            b"iTXt",
                            b"tEXt",
                            b"sBIT",
                            b"fdAT",
                        )
                    ),
                    rng.randbytes(rng.choice((0, 1, 4, 26, 80))),
                ),
            )
        else:
            chunks[number] = (name, blind(content, rng))
    framed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return data[:8] + b"".join(framed)


def jpeg(data: bytes, rng: random.Random) -> bytes:
    """Segments changed, swapped, repeated or dropped, with lengths that are right."""
    segments, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4])
        segments.append((data[at + 1], data[at + 4 : at + 2 + size]))
        at += 2 + size
    if not segments:
        return blind(data, rng)
    number, what = rng.randrange(len(segments)), rng.randrange(5)
    if what == 0:
        segments.insert(rng.randrange(len(segments) + 1), segments[number])
    elif what == 1:
        del segments[number]
    elif what == 2:
        segments.insert(
            0, (rng.choice((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xC2, 0xC4)), rng.randbytes(rng.choice((0, 6, 14, 64))))
        )
    else:
        marker, content = segments[number]
        segments[number] = (marker, blind(content, rng)[:65000])
    framed = (bytes((0xFF, m)) + struct.pack(">H", len(c) + 2) + c for m, c in segments)
    return data[:2] + b"".join(framed) + (blind(data[at:], rng) if rng.random() < 0.3 else data[at:])


def riff(data: bytes, rng: random.Random) -> bytes:
    """A chunk of a WebP or AVI, or of a list within it, changed or repeated; the lengths around it stay right."""
    name, form = data[:4], data[8:12]
    body = form + _chunks(data[12:], rng)
    return name + struct.pack("<I", len(body)) + body


def _chunks(data: bytes, rng: random.Random) -> bytes:
    chunks, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    if not chunks:
        return blind(data, rng)
    number = rng.randrange(len(chunks))
    name, content = chunks[number]
    if rng.random() < 0.3:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[number])
    elif name == b"LIST":
        chunks[number] = (name, content[:4] + _chunks(content[4:], rng))
    else:
        chunks[number] = (name, blind(content, rng))
    return b"".join(n + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for n, c in chunks)


def tiff(data: bytes, rng: random.Random) -> bytes:
    """An entry of the first directory: its tag, type, count, value or offset."""
    order = "little" if data[:2] == b"II" else "big"
    at = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[at : at + 2], order)
    if not 0 < count < 100 or at + 2 + 12 * count > len(data):
        return blind(data, rng)
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        entry = at + 2 + 12 * rng.randrange(count)
        where, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
        value = rng.choice((*NUMBERS, len(data), at, *(254, 258, 259, 262, 273, 277, 279, 284, 317, 320, 338, 339)))
        if where == 2:
            value = rng.randrange(14)
        changed[entry + where : entry + where + size] = (value % 256**size).to_bytes(size, order)
    return bytes(changed)


def paths_in(record: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return [found for key, value in inner for found in ((*above, key), *paths_in(value, (*above, key)))]


def json_record(record: Any, rng: random.Random) -> Any:
    """One or two values replaced, removed, or moved elsewhere."""
    for _ in range(rng.choice((1, 1, 2))):
        paths = paths_in(record)
        if not paths:
            return rng.choice(VALUES)
        *above, last = rng.choice(paths)
        inside = record
        for key in above:
            inside = inside[key]
        what = rng.random()
        if what < 0.2:
            del inside[last]
        elif what < 0.3 and isinstance(inside, dict):
            inside[str(rng.choice(VALUES))[:50]] = inside.pop(last)
        elif what < 0.45 and isinstance(inside[last], int | float) and not isinstance(inside[last], bool):
            inside[last] = rng.choice((-1, 0, 1.5, 2**31, 2**63, -(2**63) - 1, 1e9, inside[last] * 1000, -inside[last]))
        else:
            inside[last] = rng.choice(VALUES)
    return record


def json_text(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.25:
        return blind(data, rng)
    try:
        record = json.loads(data)
    except ValueError:
        return blind(data, rng)
    return json.dumps(json_record(record, rng)).encode("utf-8", "surrogatepass")


_TOKEN = re.compile(rb"\s+|[A-Za-z_][\w.-]*|-?\d[\d.e+-]*|.", re.DOTALL)
_WORDS = (
    b"-1",
    b"0",
    b"1e999",
    b"nan",
    b"inf",
    b"true",
    b'""',
    b'"x"',
    b"[]",
    b"{}",
    b"[",
    b"]",
    b"=",
    b"9" * 400,
    b"9" * 5000,
    b"<",
    b">",
    b"\x00",
    b"\xff",
    b"&amp;",
    b"<!--",
    b"]]>",
    b"[[[[[[[[",
    b'"../../x.png"',
    b"\n",
    b"#",
)


def tokens(data: bytes, rng: random.Random) -> bytes:
    """Words, numbers and signs of any text replaced, removed, repeated or exchanged: TOML, XML, prototxt, CSV."""
    parts = _TOKEN.findall(data)
    for _ in range(rng.randint(1, 4)):
        if not parts:
            return data
        number, what = rng.randrange(len(parts)), rng.randrange(5)
        if what == 0:
            parts[number] = rng.choice(_WORDS)
        elif what == 1:
            del parts[number]
        elif what == 2:
            parts.insert(number, rng.choice(parts))
        elif what == 3:
            other = rng.randrange(len(parts))
            parts[number], parts[other] = parts[other], parts[number]
        else:
            a, b = sorted(rng.randrange(len(parts) + 1) for _ in range(2))
            parts[a:b] = parts[a:b] * rng.choice((0, 2)) if b - a < 400 else parts[a:b]
    return b"".join(parts)


def safetensors(data: bytes, rng: random.Random) -> bytes:
    """The header or the card within it, as JSON, with a length that is right."""
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3 or 8 + size > len(data):
        return blind(data, rng)
    header = json.loads(data[8 : 8 + size])
    card = header.get("__metadata__", {}).get("segnet")
    if card and rng.random() < 0.7:
        changed = json_text(card.encode(), rng).decode("utf-8", "replace")
        header["__metadata__"]["segnet"] = changed
    else:
        header = json_record(header, rng)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def protobuf(data: bytes, rng: random.Random) -> bytes:
    """A field of a message, or of a message within it, changed; the lengths around it stay right."""
    fields, at = [], 0
    try:
        while at < len(data):
            begin = at
            key, at = _varint(data, at)
            if key & 7 != 2:
                _, at = _varint(data, at) if key & 7 == 0 else (0, at + {1: 8, 5: 4}[key & 7])
                fields.append((data[begin:at], None))
                continue
            size, at = _varint(data, at)
            fields.append((key, data[at : at + size]))
            at += size
    except (IndexError, KeyError):
        return blind(data, rng)
    if not fields:
        return blind(data, rng)
    number, what = rng.randrange(len(fields)), rng.randrange(8)
    key, content = fields[number]
    if what == 0:
        del fields[number]
    elif what == 1:
        fields.insert(rng.randrange(len(fields) + 1), fields[number])
    elif content is None:
        fields[number] = (blind(key, rng), None)
    elif what < 6 and len(content) > 8:
        fields[number] = (key, protobuf(content, rng))
    else:
        fields[number] = (key, blind(content, rng))
    return b"".join(k if c is None else _written(k) + _written(len(c)) + c for k, c in fields)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def _written(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))


def either(*mutators: Mutator) -> Mutator:
    return lambda data, rng: rng.choice(mutators)(data, rng)
