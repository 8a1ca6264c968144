"""What an importer finds, ready to be written; and how it finds images that an annotation names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from segnet.data.datasets.folder import IMAGE_SUFFIXES
from segnet.data.sample import Dataset
from segnet.errors import DataError

BACKGROUND = "background"
_VOID_NAMES = ("void", "__ignore__")
_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLIT_WORDS |= dict.fromkeys(("val", "valid", "validation"), "val")


class ImageFiles(Dataset, Protocol):
    """A dataset whose images are files."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Of the images, in order."""


@dataclass(frozen=True)
class Source:
    """What an importer found.

    Attributes:
        images: with their targets.
        splits: split -> names of its images; empty where the source has none.
        notes: what a person should know of how it was read.
    """

    images: ImageFiles
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ImageFinder:
    """Finds images below a folder, and nothing outside it.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.normpath(root.absolute()))

    def find(self, name: str, source: Path) -> Path:
        """The image that an annotation names.

        Looked for beside the annotation, then in `root` and `root/images`, then by its file name alone anywhere below
        `root`.

        Args:
            name: path of the image, with slashes or backslashes.
            source: the annotation file.

        Raises:
            DataError: it leads out of `root`, is missing, or fits several files; says which annotation names it.
        """
        relative = PurePosixPath(name.replace("\\", "/"))
        if not self._below(source.parent.absolute() / relative):
            raise DataError(
                f"{source} names the image '{name}', which is outside {self.root}; "
                "give the folder that holds annotations and images both"
            )
        for folder in (source.parent.absolute(), self.root, self.root / "images"):
            path = Path(os.path.normpath(folder / relative))
            if self._below(path) and path.is_file():
                return path
        found = self._by_file_name.get(relative.name, [])
        if len(found) > 1:
            raise DataError(
                f"{source} names '{name}', which is {found[0]} or {found[1]}; rename one, or write its path"
            )
        if not found:
            raise DataError(f"{source} names the image '{name}', but there is none of that name below {self.root}")
        return found[0]

    def _below(self, path: Path) -> bool:
        return Path(os.path.normpath(path)).is_relative_to(self.root)

    @cached_property
    def _by_file_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(self.root.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found.setdefault(path.name, []).append(path)
        return found


def flat_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each image: its folders below the deepest common one and its stem, joined by `_`.

    Raises:
        DataError: two images would have one name.
    """
    if not paths:
        return ()
    common = Path(os.path.commonpath([path.parent for path in paths]))
    taken: dict[str, Path] = {}
    for path in paths:
        name = "_".join(path.relative_to(common).with_suffix("").parts)
        if name in taken:
            raise DataError(f"{taken[name]} and {path} would both be called '{name}'; rename one")
        taken[name] = path
    return tuple(taken)


def by_split(splits: Sequence[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Split -> names, or nothing where an image is in no split."""
    if not all(splits):
        return {}
    pairs = list(zip(splits, names, strict=True))
    return {split: tuple(n for s, n in pairs if s == split) for split in dict.fromkeys(splits)}


def means_void(class_name: str) -> bool:
    """Whether tools give this name to pixels that count for nothing."""
    return class_name.lower() in _VOID_NAMES


def split_word(text: str) -> str:
    """The split that a file or folder name speaks of, such as `instances_val2017`; empty for none."""
    words = "".join(c if c.isalpha() else " " for c in text.lower()).split()
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), "")
