"""The images in a ZIP or TAR file, read where they are: nothing is unpacked, and the archive may be at an address."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from segnet.errors import DataError
from segnet.io.remote import (
    MOST_BYTES,
    RemoteFile,
    RemoteFolder,
    copy_bounded,
    is_address,
    require_inside,
)

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
MOST_EXPANSION = 1000  # times the size of the archive; images do not compress, and JSON by 20 times at most
FREE_BYTES = 64 * 2**20  # what is below this size, unpacked, is never suspicious


class Archive:
    """An archive of files; open until `close`.

    Args:
        address: a path of this machine, or an address of `RemoteFolder`.

    Raises:
        DataError: it cannot be read, is broken, or is no archive.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            here = None if is_address(address) else Path(address).open("rb")  # noqa: SIM115 (closed by `close`)
        except OSError as cause:
            raise DataError(f"{address} cannot be opened: {cause.strerror}; expected a ZIP or TAR file") from None
        self._raw: Any = here or _opened_elsewhere(address)
        self._size_bytes = self._raw.seek(0, 2)
        self._raw.seek(0)
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            with self._errors():
                self._archive: zipfile.ZipFile | tarfile.TarFile
                if zipfile.is_zipfile(self._raw):
                    self._archive = zipfile.ZipFile(self._raw)
                else:
                    self._raw.seek(0)
                    self._archive = tarfile.open(fileobj=self._raw)  # noqa: SIM115 (closed by `close`)
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()
        self._raw.close()

    def files(self) -> list[RemoteFile]:
        """All files in their order; links, devices, hidden files and what macOS adds are left out.

        Raises:
            DataError: a name leads out of the archive, or the archive is broken.
        """
        with self._errors():
            if isinstance(self._archive, zipfile.ZipFile):
                found = [
                    RemoteFile(member.filename, f"{member.file_size}-{member.CRC:08x}", member.file_size)
                    for member in self._archive.infolist()
                    if not member.is_dir() and member.external_attr >> 28 in (0, 8)
                ]
            else:
                found = [
                    RemoteFile(member.name.removeprefix("./"), f"{member.size}-{member.mtime}", member.size)
                    for member in self._archive
                    if member.isreg()
                ]
        files = [file for file in found if not is_clutter(file.name)]
        for file in files:
            require_inside(file.name, self.address)
        return [file for file in files if not PurePosixPath(file.name).name.startswith(".")]

    def address_of(self, name: str) -> str:
        """For messages: `photos.zip!/a.png`."""
        return f"{self.address}!/{name}"

    def fetch(self, name: str, path: Path) -> None:
        """Copies a member to a file of this machine.

        Raises:
            DataError: it is broken, encrypted, or would unfold too far.
        """
        with self._errors(), self._opened(name) as (source, size_bytes):
            if size_bytes > most_unfolded(self._size_bytes):
                gib = size_bytes / 2**30
                raise DataError(f"{self.address_of(name)} would unfold to {gib:.1f} GiB; unpack it if you trust it")
            with path.open("wb") as file:
                copy_bounded(source, file, MOST_BYTES, self.address_of(name))

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        if isinstance(self._archive, zipfile.ZipFile):
            with self._archive.open(name) as file:
                yield file, self._archive.getinfo(name).file_size
            return
        if not self._members:
            self._members = {member.name.removeprefix("./"): member for member in self._archive if member.isreg()}
        member = self._members[name]
        opened = self._archive.extractfile(member)
        assert opened is not None  # only for members that are no files
        with opened:
            yield opened, member.size

    def _errors(self) -> AbstractContextManager[None]:
        return archive_errors(self.address, "read", "pack it again, or give a folder")


def _opened_elsewhere(address: str) -> Any:
    """The file at an address; a copy of it on this machine where its server only sends it from the beginning."""
    folder = RemoteFolder(address)
    source = folder.open()
    try:
        source.seek(-1, 2)
        source.read(1)
    except ValueError:
        source.close()
    else:
        return source
    with TemporaryDirectory(prefix="segnet-") as scratch:
        folder.fetch("", Path(scratch) / "archive")
        copy = TemporaryFile(prefix="segnet-")  # noqa: SIM115 (closed by `Archive.close`)
        with (Path(scratch) / "archive").open("rb") as file:
            shutil.copyfileobj(file, copy)
    return copy


def is_archive_name(name: str) -> bool:
    """Whether a file is called as a ZIP or TAR file is."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_clutter(name: str) -> bool:
    """Whether a member is what macOS and its Finder add."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


def most_unfolded(size_bytes: int) -> int:
    """The most bytes that an archive of `size_bytes` can honestly hold."""
    return max(FREE_BYTES, MOST_EXPANSION * size_bytes)


@contextmanager
def archive_errors(address: Path | str, what: str, if_broken: str) -> Iterator[None]:
    """Within the block, what `zipfile` and `tarfile` raise becomes one line.

    Args:
        address: of the archive, for the line.
        what: could not be done: `read`, `unpacked`.
        if_broken: what to do with an archive that is broken; one that only cannot be opened can be unpacked by hand.

    Raises:
        DataError: instead of those errors.
    """
    try:
        yield
    except DataError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as cause:
        raise DataError(f"{address} cannot be {what}: {cause}; {if_broken}") from None
    except (OSError, ValueError) as cause:
        raise DataError(f"{address} cannot be {what}: {cause}; unpack it and give the folder") from None
