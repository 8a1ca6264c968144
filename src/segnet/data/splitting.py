"""Splits the images of a folder into train, val and test, whole groups at a time.

Frames of one video look alike: a model that was trained on one knows the next, and its score on it means nothing. So
similar images form a group that stays in one split.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segnet.data.datasets.layout import folders_of, home_folders, images_in
from segnet.data.similarity import find_leaks, fingerprints_of, near_duplicates, sequence_of, source_name
from segnet.errors import ConfigError, DataError
from segnet.io.files import whole_files


@dataclass(frozen=True)
class Grouping:
    """Which images belong together.

    Attributes:
        rule: how they were grouped, for the user.
        groups: group -> names, both in order.
    """

    rule: str
    groups: Mapping[str, tuple[str, ...]]


def split_folder(
    root: Path,
    shares: Mapping[str, float],
    *,
    by: str = "auto",
    compare: bool = True,
    hold_out: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
) -> list[str]:
    """Splits the images of a folder and writes the lists.

    Args:
        root: the folder of a dataset, as `folder.py` describes it.
        shares: of each split but `train`, as for `part`.
        by: `auto` (`usual_groups`), `sequence` (`sequence_blocks`), `image` (copies of one image together), or a
            pattern (`group`).
        compare: also keep near-duplicates together, which reads every image once at a reduced size.
        hold_out: groups that are `val`, all others being `train`, whatever the shares: to leave one sequence out.
        seed: of the random choice.
        overwrite: replace existing lists.

    Returns:
        What was done, and which similar images are in different splits all the same, as lines for the user.

    Raises:
        ConfigError: a pattern or shares that cannot be used.
        DataError: no image, too few groups, no group of a name to hold out, or existing lists.
    """
    images = images_to_split(root)
    names = tuple(images)
    if by == "auto":
        grouping = usual_groups(names, least=len(shares) + 1)
    elif by == "sequence":
        grouping = sequence_blocks(names, shares)
    elif by == "image":
        grouping = _grouping("each image by itself", names, [source_name(name) for name in names])
    else:
        grouping = group(names, by)
    lines = []
    prints = fingerprints_of(list(images.values())) if compare else {}
    if compare:
        places = list(prints)
        pairs = [(names[places[a]], names[places[b]]) for a, b in near_duplicates(list(prints.values()))]
        whole = joined(grouping, pairs)
        if pairs and not hold_out and len(whole.groups) > len(shares):
            grouping, before = whole, len(grouping.groups)
            if before > len(whole.groups):
                lines.append(
                    f"{len({name for pair in pairs for name in pair})} images are nearly equal to others by their "
                    f"pixels, such as {pairs[0][0]} and {pairs[0][1]}; they stay in one split"
                )
        elif pairs and not hold_out:
            lines.append(f"warning: nearly all images are nearly equal, such as {pairs[0][0]} and {pairs[0][1]}")
    splits = held_out(grouping, hold_out) if hold_out else part(grouping, shares, seed)
    write_splits(root, splits, overwrite)
    largest = sorted(grouping.groups.items(), key=lambda pair: -len(pair[1]))[:3]
    named = (
        f"; the largest: {', '.join(f'{key} {len(found)}' for key, found in largest)}" if len(largest[0][1]) > 1 else ""
    )
    lines.append(f"{len(names)} images in {len(grouping.groups)} groups ({grouping.rule}){named}")
    for split, members in splits.items():
        lines.append(f"{split}: {len(members)} images, {len(members) / len(names):.0%}, in {root / split}.txt")
    place_of = {name: place for place, name in enumerate(names)}
    by_split = {
        split: {i: prints[place_of[name]] for i, name in enumerate(members) if place_of[name] in prints}
        for split, members in splits.items()
    }
    return [*lines, *(f"note: {line}" for line in find_leaks(splits, by_split).lines)]


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
        raise ConfigError(f"--by '{pattern}' is not a regular expression: {cause}") from None
    keys = []
    for name in names:
        match = compiled.fullmatch(name)
        if match is None:
            raise ConfigError(f"--by '{pattern}' does not fit '{name}'; expected a pattern of whole names, less suffix")
        keys.append(match.group(1 if compiled.groups else 0) or "")
    return _grouping(f"the pattern '{pattern}'", names, keys)


def usual_groups(names: Sequence[str], least: int) -> Grouping:
    """Groups names by sequence, `left-0007` -> `left`; where that gives fewer than `least` groups, by image.

    Copies of one image that an augmentation tool made, such as `X_jpg.rf.0a1b`, stay together in both.
    """
    sources = [source_name(name) for name in names]
    keys = [sequence_of(name)[0] for name in names]
    if len(set(keys)) >= least:
        return _grouping("the name without the number at its end", names, keys)
    copies = len(names) - len(set(sources))
    together = f", {copies} copies with their sources" if copies else ""
    return _grouping(f"each image by itself{together}; frames of a video want --by sequence", names, sources)


def sequence_blocks(names: Sequence[str], shares: Mapping[str, float]) -> Grouping:
    """Groups frames to blocks: each sequence is cut into runs of consecutive frames, each as long as a small split.

    Only the frames at the ends of a run have neighbours in another split.
    """
    sequences: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        sequence, number = sequence_of(name)
        sequences.setdefault(sequence, []).append((-1 if number is None else number, name))
    share = min(shares.values(), default=0.2)
    keys: dict[str, str] = {}
    for sequence, frames in sequences.items():
        numbers = sorted({number for number, _ in frames})
        length = max(1, int(len(numbers) * share))
        block = {number: place // length for place, number in enumerate(numbers)}
        keys |= {name: f"{sequence}[{block[number]}]" for number, name in frames}
    return _grouping("runs of consecutive frames", names, [keys[name] for name in names])


def joined(grouping: Grouping, pairs: Iterable[tuple[str, str]]) -> Grouping:
    """Joins the groups of names that belong together, such as near-duplicates."""
    group_of = {name: key for key, names in grouping.groups.items() for name in names}
    parent = {key: key for key in grouping.groups}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]  # halves the path, so that long chains stay short
        return key

    for one, other in pairs:
        parent[root(group_of[one])] = root(group_of[other])
    members: dict[str, list[str]] = {}
    for key, names in grouping.groups.items():
        members.setdefault(root(key), []).extend(names)
    return Grouping(grouping.rule, {key: tuple(names) for key, names in members.items()})


def _grouping(rule: str, names: Sequence[str], keys: Sequence[str]) -> Grouping:
    groups: dict[str, list[str]] = {}
    for key, name in zip(keys, names, strict=True):
        groups.setdefault(key, []).append(name)
    return Grouping(rule, {key: tuple(members) for key, members in groups.items()})


def part(grouping: Grouping, shares: Mapping[str, float], seed: int) -> dict[str, tuple[str, ...]]:
    """Assigns whole groups to splits in random order, as near to the expected shares as that order allows.

    Args:
        grouping: at least one group for each split.
        shares: of the images, each above 0 and together below 1, for each split but `train`, which gets the others.
        seed: of the random order of the groups.

    Returns:
        Split -> names, sorted; `train` first; none is empty.

    Raises:
        ConfigError: other shares.
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
    keys = list(grouping.groups)
    left = dict.fromkeys(keys[i] for i in order)  # a dict, because it keeps the order and deletes in constant time
    total = sum(map(len, grouping.groups.values()))
    splits: dict[str, tuple[str, ...]] = {"train": ()}
    for number, (split, share) in enumerate(shares.items()):
        expected, chosen, size = share * total, list[str](), 0
        keep = len(shares) - number  # a group for each split that comes after, and for train
        for key in left:
            with_it = size + len(grouping.groups[key])
            if len(left) - len(chosen) > keep and abs(with_it - expected) < abs(size - expected):
                chosen.append(key)
                size = with_it
        chosen = chosen or [min(left, key=lambda key: len(grouping.groups[key]))]
        for key in chosen:
            del left[key]
        splits[split] = _names(grouping, chosen)
    splits["train"] = _names(grouping, list(left))
    return splits


def held_out(grouping: Grouping, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`val` of these groups and `train` of all others, names sorted.

    Raises:
        DataError: no such group, or no other one.
    """
    unknown = [key for key in keys if key not in grouping.groups]
    others = [key for key in grouping.groups if key not in keys]
    if unknown or not others:
        known = ", ".join(sorted(grouping.groups)[:20])
        what = f"no group '{unknown[0]}' to hold out" if unknown else "every group is held out, and none left for train"
        raise DataError(f"{what}; the groups by {grouping.rule} are {known}")
    return {"train": _names(grouping, others), "val": _names(grouping, keys)}


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


def images_to_split(root: Path) -> dict[str, Path]:
    """The images of the dataset by name: those in `root/images`, or in the folder of `train` where `val` has none.

    Raises:
        DataError: no such folder or no image in it, or images that lie in folders of splits already.
    """
    if (val := folders_of(root, "val")) is not None:
        raise DataError(f"{val[0]}/ is a split already; lists are for images in one folder")
    folder = home_folders(root)[0]
    images = images_in(folder)
    if not images:
        raise DataError(f"no image in {folder}")
    return images


def _names(grouping: Grouping, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for key in keys for name in grouping.groups[key]))
