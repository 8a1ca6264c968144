"""From what a user names, folders, files and archives, to the folders of one export each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segnet.data.importers.archive import archive_stem, is_archive, unpack
from segnet.data.importers.formats import FORMATS, recognise
from segnet.data.importers.listing import Listing
from segnet.data.reading.label_file import LABELS_TOML
from segnet.errors import ConfigError, DataError, nearest

_CLUTTER = (".", "__MACOSX")
_MOST_NESTED = 3  # a project's archive of batches, each an archive; a file can be an archive that holds itself


@dataclass(frozen=True)
class Export:
    """What one export of a tool is.

    Attributes:
        src: its folder or file.
        data_format: a key of `FORMATS`.
        name: of the folder, file or archive, for names of images that occur in several exports.
        note: what was recognised, and why; empty where the user named the format.
    """

    src: Path
    data_format: str
    name: str
    note: str


def open_exports(sources: Sequence[Path], data_format: str | None, scratch: Path) -> list[Export]:
    """Unpacks archives and recognises formats.

    A folder that holds nothing but one folder counts as that one. A folder that holds archives, or folders of several
    formats, such as batches of one project, counts as all of them.

    Args:
        sources: folders, files and archives; at least one.
        data_format: a key of `FORMATS`; None recognises it.
        scratch: a temporary folder, which gets the content of archives.

    Raises:
        ConfigError: an unknown format.
        DataError: a source is missing, cannot be unpacked, or is of no known format; says what it holds.
    """
    if data_format is not None and data_format not in FORMATS:
        raise ConfigError(f"unknown format '{data_format}'; {nearest(data_format, FORMATS)}")
    exports = []
    for src in sources:
        if not src.exists():
            raise DataError(f"{src} does not exist; expected a folder, a file or an archive of labels")
        exports += _open(src, src, data_format, scratch)
    return exports


def _open(src: Path, shown: Path, data_format: str | None, scratch: Path, within: int = 0) -> list[Export]:
    """The exports in one source.

    Args:
        src: folder, file or archive.
        shown: the path of it, or of its archive, for messages.
        data_format: a key of `FORMATS`; None recognises it.
        scratch: gets the content of archives.
        within: how many archives the source lies in.
    """
    if is_archive(src):
        if within == _MOST_NESTED:
            raise DataError(f"{src.name} lies in {within} archives, one in the other; unpack them, and give the folder")
        within += 1
        folder = scratch / f"{len(list(scratch.iterdir()))}" / archive_stem(src)
        folder.mkdir(parents=True)
        unpack(src, folder)
        src = folder
    name = archive_stem(shown) if is_archive(shown) else shown.resolve().stem
    src = _without_wrapping(src)
    if data_format is not None:
        return [Export(src, data_format, name, "")]
    listing = Listing(src)
    found, inner = recognise(listing), _inside(src)
    if found is not None and not _is_collection(src, inner):
        others = f"; it could also be read as {', '.join(found.others)} (--from)" if found.others else ""
        unread = [path.name for path in inner if is_archive(path)]
        others += f"; {', '.join(unread)} in it is not read" if unread else ""
        title = FORMATS[found.name].title
        return [Export(src, found.name, name, f"{shown} is {title} ({found.name}): {found.reason}{others}")]
    exports = [export for path in inner for export in _inner(path, scratch, within)]
    if exports:
        return exports
    if (src / LABELS_TOML).is_file():
        raise DataError(f"{shown} is a dataset already ({LABELS_TOML}); run `segnet data check {shown}`")
    raise DataError(
        f"{shown} has no format known here: it holds {listing.kinds()}. Known: "
        f"{', '.join(f'{entry.title} ({key})' for key, entry in FORMATS.items())}; --from reads it as one of these"
    )


def _inside(src: Path) -> list[Path]:
    """The folders and archives in a folder, each of which may be an export of its own.

    An archive beside a folder of its name was unpacked there already, and does not count.
    """
    found = [p for p in sorted(src.iterdir()) if not p.name.startswith(_CLUTTER)] if src.is_dir() else []
    folders = [path for path in found if path.is_dir()]
    names = {folder.name for folder in folders}
    return [*folders, *(path for path in found if is_archive(path) and archive_stem(path) not in names)]


def _is_collection(src: Path, inner: Sequence[Path]) -> bool:
    """Whether a folder holds several exports, and nothing of its own: archives, or folders of different formats."""
    own = [p for p in src.iterdir() if p.is_file() and not is_archive(p) and not _is_remark(p)] if src.is_dir() else []
    if own or not inner:
        return False
    formats = [recognise(Listing(_without_wrapping(path))) for path in inner if path.is_dir()]
    return any(map(is_archive, inner)) or len({found.name for found in formats if found is not None}) > 1


def _is_remark(path: Path) -> bool:
    """Whether a file only speaks to people."""
    return path.name.lower().startswith(("readme", "license", "notes.")) or path.name.startswith(".")


def _inner(path: Path, scratch: Path, within: int) -> list[Export]:
    """A folder or archive inside the source, where it is an export by itself."""
    if is_archive(path):
        return _open(path, path, None, scratch, within)
    src = _without_wrapping(path)
    found = recognise(Listing(src))
    if found is None:
        return []
    note = f"{path} is {FORMATS[found.name].title} ({found.name}): {found.reason}"
    return [Export(src, found.name, path.name, note)]


def _without_wrapping(src: Path) -> Path:
    """The innermost folder as long as each holds one folder, no file and no layout of its own.

    An archive often holds one folder with everything in it.
    """
    while src.is_dir():
        beside = [p for p in src.iterdir() if not p.name.startswith(_CLUTTER) and not _is_remark(p)]
        if len(beside) != 1 or not beside[0].is_dir() or recognise(Listing(src)) is not None:
            break
        src = beside[0]
    return src
