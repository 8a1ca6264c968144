"""Images that resemble each other: copies by name, frames of one sequence, and near-duplicates by their pixels.

Such images must be in one split: a model that was trained on one of them knows the other, and the score on it is too
good.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnet.data.reading.images import opened_small
from segnet.errors import DataError

# What augmentation tools and file managers append: `X_jpg.rf.0a1b` (Roboflow), `X_aug3`, `X_copy`, `X (1)`, `X - Copy`.
_COPY = re.compile(
    r"(?:[._](?:jpe?g|png|bmp|tiff?|webp))?\.rf\.[0-9A-Za-z]+$"
    r"|[_-](?:aug|augmented|copy)[_-]?\d*$| \(\d+\)$| - Copy(?: \(\d+\))?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(.*?)[-_. ]*(\d+)$")
_HASH_BITS, _CHUNK_BITS = 64, 13
_MOST_BITS = 4  # of 64, in which the hashes of near-duplicates differ: then one of 5 chunks is equal
_WINDOW = 32  # images with an equal chunk that each is compared with; bounds the work where many images are alike
_CORRELATION = 0.98  # of two small copies, at least
_FLAT = 2.0  # grey levels: below this deviation a small copy has no structure to correlate


class Fingerprint(NamedTuple):
    """A small copy of an image.

    Attributes:
        hash: 64 bits: whether each cell of a grid of 8x8 is brighter than the one at its left (difference hash).
        pixels: grey, uint8 (16, 18).
    """

    hash: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Leaks:
    """Images of one split that resemble images of `train`.

    Attributes:
        lines: for the user, with numbers and an example each.
    """

    lines: tuple[str, ...]


def source_name(name: str) -> str:
    """The name of the image that an augmented copy was made from; a name that is no copy as it is."""
    while (match := _COPY.search(name)) and match.start() > 0:
        name = name[: match.start()]
    return name


def sequence_of(name: str) -> tuple[str, int | None]:
    """The sequence of a frame and its number: `left-0007` -> (`left`, 7); copies have that of their source."""
    match = _NUMBER.fullmatch(source_name(name))
    return (match[1], int(match[2])) if match else (source_name(name), None)


def fingerprint(image: Image.Image | NDArray[np.uint8]) -> Fingerprint:
    """Makes the fingerprint of an image, of Pillow or uint8 (H, W, C)."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., :3] if image.shape[2] >= 3 else image[..., 0])
    small = image.convert("L").resize((18, 16), Image.Resampling.BOX, reducing_gap=2)
    cells = np.asarray(small.reduce(2), np.int16)  # (8, 9)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return Fingerprint(int.from_bytes(bits.tobytes(), "big"), np.asarray(small))


def fingerprints_of(paths: Sequence[Path]) -> dict[int, Fingerprint]:
    """Place in `paths` -> fingerprint, of the images that can be read; JPEG is decoded at a reduced size."""
    found = {}
    for place, path in enumerate(paths):
        try:
            with opened_small(path) as image:
                found[place] = fingerprint(image)
        except DataError:
            continue  # `segnet data check` reports it
    return found


def near_duplicates(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Pairs of near-duplicates, as places in `prints`; time and memory grow with their number, not with its square.

    Two images are near-duplicates where their hashes differ in at most 4 bits and their small copies correlate by
    0.98. Of many images that are all alike, each is paired with some of the others.
    """
    if len(prints) < 2:
        return []
    hashes = np.array([p.hash for p in prints], np.uint64)
    small = np.stack([p.pixels for p in prints]).reshape(len(prints), -1)
    pairs: set[tuple[int, int]] = set()
    for first_bit in range(0, _HASH_BITS, _CHUNK_BITS):
        chunk = (hashes >> np.uint64(first_bit)) & np.uint64(2**_CHUNK_BITS - 1)
        order = np.lexsort((hashes, chunk))
        for distance in range(1, min(_WINDOW, len(prints) - 1) + 1):
            one, other = order[:-distance], order[distance:]
            alike = chunk[one] == chunk[other]
            one, other = one[alike], other[alike]
            differing = np.unpackbits((hashes[one] ^ hashes[other]).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
            # Equal hashes stand side by side in every order: the first has compared them.
            near = (differing <= _MOST_BITS) & ((differing > 0) | (first_bit == 0))
            one, other = one[near], other[near]
            alike = _correlate(small[one], small[other])
            pairs.update(
                (min(a, b), max(a, b)) for a, b in zip(one[alike].tolist(), other[alike].tolist(), strict=True)
            )
    return sorted(pairs)


def _correlate(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether small copies agree, (N,): by correlation, or nearly in every value where they are flat."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    difference = np.abs(first - second).mean(axis=1)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    lengths = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    correlation = (first * second).sum(axis=1) / np.maximum(lengths, 1e-9)
    flat = lengths < _FLAT**2 * one.shape[1]
    agree: NDArray[np.bool_] = np.where(flat, difference < 1, correlation >= _CORRELATION)
    return agree


def find_leaks(splits: Mapping[str, Sequence[str]], prints: Mapping[str, Mapping[int, Fingerprint]]) -> Leaks:
    """Finds images of other splits that resemble one of `train`.

    Args:
        splits: split -> names of its images.
        prints: split -> place among its names -> fingerprint; may lack any of them.
    """
    lines: list[str] = []
    train = splits.get("train", ())
    sources = {source_name(name): name for name in reversed(train)}
    neighbours = _neighbours_in(train, splits)
    for split, names in splits.items():
        if split == "train" or not names:
            continue
        copies = [(name, sources[source_name(name)]) for name in names if source_name(name) in sources]
        if copies:
            lines.append(_line(split, len(copies), names, "are copies of an image in train, by their names", copies[0]))
        alike = _alike(prints.get("train", {}), prints.get(split, {}))
        if alike:
            example = (names[min(alike)], train[alike[min(alike)]])
            lines.append(
                _line(split, len(alike), names, "are nearly equal to an image in train, by their pixels", example)
            )
        beside = [(name, neighbours[name]) for name in names if name in neighbours]
        if beside:
            what = "are numbered next to an image in train (frames of a video?)"
            lines.append(_line(split, len(beside), names, what, beside[0]))
    return Leaks(tuple(lines))


def _alike(train: Mapping[int, Fingerprint], others: Mapping[int, Fingerprint]) -> dict[int, int]:
    """Place of a near-duplicate -> place in `train`."""
    in_train, elsewhere = list(train), list(others)
    pairs = near_duplicates([*train.values(), *others.values()])
    cut = len(in_train)
    return {elsewhere[b - cut]: in_train[a] for a, b in pairs if a < cut <= b}


def _neighbours_in(train: Sequence[str], splits: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Name of a frame outside of `train` -> the frame before or after it, where that is in `train`."""
    members = set(train)
    sequences: dict[str, dict[int, list[str]]] = {}  # copies of one frame share its number
    for name in (name for names in splits.values() for name in names):
        sequence, number = sequence_of(name)
        if number is not None:
            sequences.setdefault(sequence, {}).setdefault(number, []).append(name)
    found: dict[str, str] = {}
    for frames in sequences.values():
        for one, other in pairwise(sorted(frames)):
            for here, there in ((one, other), (other, one)):
                inside = next((name for name in frames[there] if name in members), None)
                if inside is not None:
                    found |= {name: inside for name in frames[here] if name not in members}
    return found


def _line(split: str, count: int, names: Sequence[str], what: str, example: tuple[str, str]) -> str:
    return f"{split}: {count} of {len(names)} images {what}, such as {example[0]} and {example[1]}"
