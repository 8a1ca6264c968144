"""Further seeded changes that keep a format's frame: boxes of MP4, elements of XML, members of ZIP and TAR files."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from xml.etree import ElementTree

from mutators import VALUES, blind, png, tokens

_BOXES_OF_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta")


def boxes(data: bytes, rng: random.Random) -> bytes:
    """A box of an MP4, or of a box within it, changed, repeated, moved or dropped; the lengths around it stay right."""
    found, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if size < 8 or at + size > len(data):
            return blind(data, rng)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    if not found:
        return blind(data, rng)
    number, what = rng.randrange(len(found)), rng.randrange(10)
    if what < 7:  # the boxes that say where everything is, rather than the pictures
        number = next(
            (i for i, (name, _) in enumerate(found) if name in _BOXES_OF_BOXES and rng.random() < 0.7), number
        )
    name, content = found[number]
    if what == 7:
        del found[number]
    elif what == 8:
        found.insert(rng.randrange(len(found) + 1), found[number])
    elif name in _BOXES_OF_BOXES:
        found[number] = (name, boxes(content, rng))
    else:
        found[number] = (name, blind(content, rng))
    return b"".join(struct.pack(">I", len(c) + 8) + n + c for n, c in found)


def xml(data: bytes, rng: random.Random) -> bytes:
    """An attribute, text or element changed, repeated, moved or dropped; the whole stays XML."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return tokens(data, rng)
    for _ in range(rng.randint(1, 2)):
        element, what = rng.choice(list(root.iter())), rng.randrange(6)
        value = _plain(str(rng.choice(VALUES)))
        if what < 2 and element.attrib:
            element.set(rng.choice(list(element.attrib)), value)
        elif what == 2 and element.attrib:
            del element.attrib[rng.choice(list(element.attrib))]
        elif what == 3 and len(element):
            element.remove(rng.choice(list(element)))
        elif what == 4 and len(element):
            element.append(rng.choice(list(root.iter())) if rng.random() < 0.2 else rng.choice(list(element)))
        else:
            element.text = value
    try:
        return ElementTree.tostring(root)
    except RecursionError:  # an element put into itself
        return tokens(data, rng)


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(c for c in text if c >= " " and not 0xD800 <= ord(c) < 0xE000)


def _member(data: bytes, rng: random.Random) -> bytes:
    return (png if data[:4] == b"\x89PNG" else rng.choice((tokens, blind)))(data, rng)


_NAMES = ("../x", "/x", "a/../../x", "x" * 300, "", ".", "..", "a//b", "\u00e4\u0000", "CON", "a.zip", "C:x")


def zipped(data: bytes, rng: random.Random) -> bytes:
    """Members of a ZIP file changed, renamed, repeated or dropped, with checksums that are right."""
    if rng.random() < 0.2:
        return blind(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = [(member.filename, file.read(member)) for member in file.infolist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for name, content in _changed(members, rng):
            info = zipfile.ZipInfo(name or "x")
            if rng.random() < 0.05:
                info.external_attr = rng.choice((0o120777, 0o020666, 0o040777)) << 16
            file.writestr(info, content)
    return out.getvalue()


def tarred(data: bytes, rng: random.Random) -> bytes:
    """Members of a gzipped TAR changed, renamed, repeated, dropped or made links and devices."""
    if rng.random() < 0.2:
        return blind(data, rng)
    if rng.random() < 0.3:
        return gzip.compress(blind(gzip.decompress(data), rng), mtime=0)
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        members = [(m.name, file.extractfile(m).read()) for m in file if m.isreg()]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as file:
        for name, content in _changed(members, rng):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if rng.random() < 0.05:
                info.type, info.linkname, info.size = rng.choice((b"1", b"2", b"3", b"6", b"7", b"x")), "/etc/passwd", 0
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _changed(members: list[tuple[str, bytes]], rng: random.Random) -> list[tuple[str, bytes]]:
    for _ in range(rng.randint(1, 2)):
        if not members:
            break
        number, what = rng.randrange(len(members)), rng.randrange(6)
        name, content = members[number]
        if what == 0:
            del members[number]
        elif what == 1:
            members.append(members[number])
        elif what == 2:
            members[number] = (rng.choice(_NAMES), content)
        else:
            members[number] = (name, _member(content, rng))
    return members
