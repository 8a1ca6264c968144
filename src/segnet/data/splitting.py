"""Parting the images of a folder into splits, whole groups at a time: what is alike stays together.

Frames of one video look alike: a model that has seen one in training knows the next, and a score on it says nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segnet.data.datasets.layout import images_in
from segnet.errors import ConfigError, DataError
from segnet.io.files import whole_files


@dataclass(frozen=True)
class Grouping:
    """Which images belong together.

    Attributes:
        rule: how they were grouped, in words.
        groups: group -> names, both in order.
    """

    rule: str
    groups: Mapping[str, tuple[str, ...]]


def group(names: Sequence[str], pattern: str) -> Grouping:
    """Groups names by a pattern.

    Args:
        names: of the images, without suffix.
        pattern: regular expression that fits every name as a whole; its first bracket is the group, or all of it where
            there is no bracket.

    Raises:
        ConfigError: not a regular expression, or a name that it does not fit.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as cause:
        raise ConfigError(f"group '{pattern}' is not a regular expression: {cause}") from None
    keys = []
    for name in names:
        match = compiled.fullmatch(name)
        if match is None:
            raise ConfigError(
                f"group '{pattern}' does not fit '{name}'; expected a pattern of whole names, less suffix"
            )
        keys.append(match.group(1 if compiled.groups else 0) or "")
    return _grouping(f"the pattern '{pattern}'", names, keys)


def usual_groups(names: Sequence[str], least: int) -> Grouping:
    """Names without the number at their end, `left-0007` -> `left`; each alone where that gives fewer than `least`."""
    keys = [name.rstrip("0123456789").rstrip("-_. ") for name in names]
    if len(set(keys)) < least:
        return _grouping("each image by itself; frames of a video want --group", names, names)
    return _grouping("the name without the number at its end", names, keys)


def _grouping(rule: str, names: Sequence[str], keys: Sequence[str]) -> Grouping:
    pairs = list(zip(keys, names, strict=True))
    return Grouping(rule, {key: tuple(n for k, n in pairs if k == key) for key in dict.fromkeys(keys)})


def part(grouping: Grouping, shares: Mapping[str, float], seed: int) -> dict[str, tuple[str, ...]]:
    """Gives whole groups to splits, as near to the expected shares as the order of chance allows.

    Args:
        grouping: at least one group for each split.
        shares: of the images, each above 0 and together below 1, for each split but `train`, which gets the others.
        seed: of the order in which groups are looked at.

    Returns:
        Split -> names, sorted; `train` first; none is empty.

    Raises:
        ConfigError: shares that are not so.
        DataError: fewer groups than splits.
    """
    if not (all(share > 0 for share in shares.values()) and sum(shares.values()) < 1):
        given = ", ".join(f"{split} {share:g}" for split, share in shares.items())
        raise ConfigError(f"{given}: expected shares above 0 and together below 1, for train gets the others")
    if len(grouping.groups) <= len(shares):
        raise DataError(
            f"by {grouping.rule}: {len(grouping.groups)} groups for {len(shares) + 1} splits; expected one each"
        )
    order = np.random.default_rng(seed).permutation(len(grouping.groups)).tolist()
    left = [list(grouping.groups)[i] for i in order]
    total = sum(map(len, grouping.groups.values()))
    splits: dict[str, tuple[str, ...]] = {"train": ()}
    for number, (split, share) in enumerate(shares.items()):
        expected, chosen, size = share * total, list[str](), 0
        keep = len(shares) - number  # a group for each split that comes after, and for train
        for key in left:
            with_it = size + len(grouping.groups[key])
            if len(left) - len(chosen) > keep and abs(with_it - expected) < abs(size - expected):
                chosen, size = [*chosen, key], with_it
        chosen = chosen or [min(left, key=lambda key: len(grouping.groups[key]))]
        left = [key for key in left if key not in chosen]
        splits[split] = _names(grouping, chosen)
    splits["train"] = _names(grouping, left)
    return splits


def write_splits(root: Path, splits: Mapping[str, Sequence[str]], overwrite: bool = False) -> None:
    """Writes `root/SPLIT.txt` for each split, all or none.

    Args:
        root: the folder of a dataset, as `folder.py` draws it.
        splits: split -> names.
        overwrite: replace lists that are there.

    Raises:
        DataError: there are lists already, they cannot be written, or cannot hold a name.
    """
    for split in ("train", "val", "test"):
        path = root / f"{split}.txt"
        if path.exists() and not (overwrite and split in splits):
            remedy = "delete it" if split not in splits else "delete it, or ask to overwrite it"
            raise DataError(f"{path} exists; {remedy}")
    with whole_files(root / "train.txt") as train:
        for split, names in splits.items():
            train.with_name(f"{split}.txt").write_text(list_text(names), encoding="utf-8")


def list_text(names: Iterable[str]) -> str:
    """A list as it is written to a file, one name a line.

    Raises:
        DataError: a name that would not be read as it is, for white space around it or a line break in it.
    """
    names = tuple(names)
    for name in names:
        if [line.strip() for line in name.splitlines()] != [name]:
            raise DataError(f"{name!r} begins or ends with a space, or breaks a line: a list cannot hold it; rename it")
    return "".join(f"{name}\n" for name in names)


def names_to_split(root: Path) -> tuple[str, ...]:
    """Names of the images in `root/images`.

    Raises:
        DataError: no such folder or no image in it, or images that lie in folders of splits already.
    """
    for split in ("train", "val"):
        if (root / "images" / split).is_dir():
            raise DataError(f"{root / 'images' / split}/ is a split already; lists are for images in one folder")
    names = tuple(images_in(root / "images"))
    if not names:
        raise DataError(f"no image in {root / 'images'}")
    return names


def _names(grouping: Grouping, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for key in keys for name in grouping.groups[key]))
