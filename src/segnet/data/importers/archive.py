"""ZIP and TAR files of an export, unpacked with care: an archive is a stranger's list of paths.

Nothing is written outside the folder, links and devices are refused, and the size is bounded before anything is
written and while it is.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from segnet.data.reading.archives import (
    ARCHIVE_SUFFIXES,
    archive_errors,
    is_archive_name,
    is_clutter,
    most_unfolded,
)
from segnet.errors import DataError

MAX_FILES = 2_000_000
MAX_BYTES = 200 * 2**30
_Member = TypeVar("_Member", zipfile.ZipInfo, tarfile.TarInfo)


def is_archive(path: Path) -> bool:
    """Whether a file is called as a ZIP or TAR file is."""
    return is_archive_name(path.name) and not path.name.startswith(".") and path.is_file()


def archive_stem(path: Path) -> str:
    """The name of an archive without its suffix."""
    suffix = next((s for s in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)] or path.name


def unpack(path: Path, folder: Path) -> None:
    """Unpacks a ZIP or TAR file.

    Args:
        path: of the archive.
        folder: a new or empty folder.

    Raises:
        DataError: not an archive, or broken; a member that leads out of the folder, is a link or is encrypted; or more
            than `MAX_FILES` files, or more bytes than the archive can honestly hold.
    """
    with archive_errors(path, "unpacked", "export it again"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _unpack_zip(archive, path, folder)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive_tar:
                _unpack_tar(archive_tar, path, folder)
        else:
            raise DataError(f"{path} is not a ZIP or TAR file; export it again, or unpack it and give the folder")


def _unpack_zip(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir() and not is_clutter(member.filename)]
    _require_size(path, len(members), sum(member.file_size for member in members))
    for member in members:
        kind = member.external_attr >> 28  # the upper four bits of the Unix mode: 8 is a file, 0 is not said
        if kind not in (0, 8):
            raise DataError(f"{path} holds '{member.filename}', which is a link or a device; give the folder instead")
        if member.flag_bits & 1:
            raise DataError(f"{path} is encrypted; unpack it and give the folder")

    def opened(member: zipfile.ZipInfo) -> IO[bytes]:
        return archive.open(member)

    _write(((m.filename, m) for m in members), opened, path, folder)


def _unpack_tar(archive: tarfile.TarFile, path: Path, folder: Path) -> None:
    members = [member for member in archive if not member.isdir() and not is_clutter(member.name)]
    _require_size(path, len(members), sum(member.size for member in members))
    for member in members:
        if not member.isreg():
            raise DataError(f"{path} holds '{member.name}', which is a link or a device; give the folder instead")

    def opened(member: tarfile.TarInfo) -> IO[bytes]:
        file = archive.extractfile(member)
        assert file is not None  # only for members that are no files
        return file

    _write(((m.name, m) for m in members), opened, path, folder)


def _write(
    members: Iterable[tuple[str, _Member]], opened: Callable[[_Member], IO[bytes]], path: Path, folder: Path
) -> None:
    for name, member in members:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0] or "\0" in name:
            raise DataError(f"{path} holds '{name}', which leads out of the archive; nothing was imported")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened(member) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)


def _require_size(path: Path, count: int, size_bytes: int) -> None:
    """The sizes that an archive states; both modules stop reading a member at its stated size."""
    if count > MAX_FILES:
        raise DataError(f"{path} holds {count} files, the limit is {MAX_FILES}; unpack it and give the folder")
    if size_bytes > min(MAX_BYTES, most_unfolded(path.stat().st_size)):
        raise DataError(
            f"{path} would unfold to {size_bytes / 2**30:.1f} GiB; if you trust it, unpack it and give the folder"
        )
