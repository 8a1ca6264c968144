"""Images that an annotation names: finding them, naming them, and the splits that folder names speak of."""

import os
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from segnet.data.datasets.layout import IMAGE_SUFFIXES
from segnet.errors import DataError
from segnet.io.files import is_file

_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLIT_WORDS |= dict.fromkeys(("val", "valid", "validation"), "val")


class ImageFinder:
    """Finds images below a folder, and nothing outside it.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.normpath(root.absolute()))

    def find(self, name: str, source: Path) -> Path:
        """The image that an annotation names.

        Looked for beside the annotation and in `images/` there, then in the folders above, up to `root`. A name that
        is found nowhere, or that leads out of `root` as the absolute names of labelling servers do, counts by its file
        name alone: the image of that name that is nearest to the annotation. Where none has that name, it may be
        written as in an address (`a%20b.jpg?token=1`), in another case, or with accents as macOS writes them.

        Args:
            name: path of the image, with slashes or backslashes.
            source: the annotation file.

        Raises:
            DataError: missing, or several files fit equally well; says which annotation names it.
        """
        relative = PurePosixPath((urlsplit(name).path if "://" in name else name).replace("\\", "/"))
        folders = self._folders_above(source)
        for folder in folders:
            for path in (folder / relative, folder / "images" / relative):
                if self._below(path) and is_file(path):
                    return Path(os.path.normpath(path))
        found = self._by_file_name.get(relative.name) or self._by_loose_name.get(_loose(relative.name), [])
        if not found and relative.suffix.lower() not in IMAGE_SUFFIXES:  # CVAT names the frames of a video so
            found = self._by_stem.get(relative.name, [])
        for folder in folders:
            near = [path for path in found if path.is_relative_to(folder)]
            if len(near) > 1:
                raise DataError(
                    f"{source} names '{name}', which is {near[0]} or {near[1]}; rename one, or write its path"
                )
            if near:
                return near[0]
        raise DataError(f"{source} names the image '{name}', but there is none of that name below {self.root}")

    def images(self) -> list[Path]:
        """All images below the folder, sorted."""
        return [path for paths in self._by_file_name.values() for path in paths]

    def _folders_above(self, source: Path) -> list[Path]:
        """The folder of the annotation, and those above it as far as `root`."""
        start = Path(os.path.normpath(source.absolute())).parent
        above = [folder for folder in (start, *start.parents) if folder.is_relative_to(self.root)]
        return above or [self.root]

    def _below(self, path: Path) -> bool:
        return Path(os.path.normpath(path)).is_relative_to(self.root)

    @cached_property
    def _by_file_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(self.root.rglob("*")):
            if is_image(path):
                found.setdefault(path.name, []).append(path)
        return found

    @cached_property
    def _by_loose_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self.images():
            found.setdefault(_loose(path.name), []).append(path)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self.images():
            found.setdefault(path.stem, []).append(path)
        return found


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name.partition("?")[0])).casefold()


def is_image(path: Path) -> bool:
    """Whether a path ends like an image; the `._` files that macOS leaves beside files do not count."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


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


def split_word(text: str) -> str:
    """The split that a file or folder name speaks of, such as `instances_val2017`; empty for none."""
    words = "".join(c if c.isalpha() else " " for c in text.lower()).split()
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), "")
