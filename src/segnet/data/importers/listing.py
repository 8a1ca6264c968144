"""What lies below a folder, read once, so that each format can say whether it recognises its layout."""

import codecs
import json
import os
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from segnet.data.importers.source import is_image

_MAX_JSON_FILES = 8
_SNIFF_BYTES = 1 << 26
_CLUTTER = ("__MACOSX", ".DS_Store")


class Listing:
    """The files of a source.

    Args:
        src: a folder, or one file.

    Attributes:
        src: the same.
        root: the folder, or that of the file.
        files: all files below it, or the one; sorted, without hidden ones.
    """

    def __init__(self, src: Path) -> None:
        self.src, self.root = src, src if src.is_dir() else src.parent
        if not src.is_dir():
            self.files: tuple[Path, ...] = (src,)
            return
        found = []
        for folder, folders, names in os.walk(src, followlinks=True):
            folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _CLUTTER)
            folders[:] = [n for n in folders if not _leads_back(Path(folder, n))]
            found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        self.files = tuple(found)

    def named(self, *names: str) -> list[Path]:
        """Files of one of these names, at any depth."""
        return [path for path in self.files if path.name in names]

    def ending(self, *endings: str) -> list[Path]:
        """Files whose names, in lower case, end so."""
        return [path for path in self.files if path.name.lower().endswith(endings)]

    def folders(self, name: str) -> list[Path]:
        """Folders of a name that hold files, or folders with files, at any depth."""
        return [folder for folder in self._folders if folder.name == name]

    def has_images(self, folder: Path) -> bool:
        """Whether a folder holds an image file itself."""
        return folder in self._with_images

    @cached_property
    def _folders(self) -> tuple[Path, ...]:
        found = dict.fromkeys(path.parent for path in self.files)
        for folder in tuple(found):
            for above in folder.parents:
                if above == self.root or not above.is_relative_to(self.root) or above in found:
                    break
                found[above] = None
        return tuple(found)

    @cached_property
    def _with_images(self) -> frozenset[Path]:
        return frozenset(path.parent for path in self.files if is_image(path))

    @cached_property
    def json_files(self) -> list[tuple[Path, Any]]:
        """The first JSON files with their content; a file that is no JSON, or very large, has the content None."""
        chosen = [path for path in self.files if path.suffix.lower() in (".json", ".geojson")]
        return [(path, _content(path)) for path in _spread(chosen)]

    def kinds(self) -> str:
        """The files in words, for a message: `12 .png, 1 .csv`."""
        counts = Counter(path.suffix.lower() or path.name for path in self.files)
        return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(6)) or "no file"


def _spread(paths: list[Path]) -> list[Path]:
    """The first files of each folder: a folder of a thousand annotations does not hide the file beside it."""
    taken: Counter[Path] = Counter()
    chosen = list[Path]()
    for path in sorted(paths, key=lambda p: (len(p.parts), p)):
        taken[path.parent] += 1
        if taken[path.parent] <= _MAX_JSON_FILES and len(chosen) < 4 * _MAX_JSON_FILES:
            chosen.append(path)
    return chosen


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > _SNIFF_BYTES:
            return _keys_of_a_large_file(path)
        return json.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except (OSError, ValueError, RecursionError):
        return None


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that holds it, which would never end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _keys_of_a_large_file(path: Path) -> dict[str, Any]:
    """What kind of COCO file it is, by its beginning and end; it is too large to be parsed for a guess."""
    with path.open("rb") as file:
        text = file.read(1 << 16)
        file.seek(-(1 << 20), os.SEEK_END)
        text += file.read()
    if b'"images"' not in text:
        return {}
    marks = [{key: 0 for key in ("segments_info", "caption") if b'"' + key.encode() + b'"' in text}]
    return {"images": [], "annotations": marks} | ({"categories": []} if b'"categories"' in text else {})
