"""Writing and downloading files so that they appear whole or not at all."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path

from segnet.errors import ConfigError, DataError, SegNetError, WeightsError

TIMEOUT_S = 30

_REMEDIES = {
    errno.ENOSPC: "free some space and run again",
    errno.EDQUOT: "free some space and run again",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "a folder of that name is in the way; choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def cache_folder() -> Path:
    """Where downloads and what can be made again are kept: `segnet` in `$XDG_CACHE_HOME`, else in `~/.cache`.

    A user without a home gets a folder in which nothing is and nothing can be written.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "segnet").expanduser()
    except RuntimeError:
        return Path(os.devnull, "segnet")


def is_file(path: Path) -> bool:
    """Whether a file is there for this user; one in a folder that is closed to him is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; what was written there becomes `path` when the block ends well.

    The file is flushed to the disk before it takes the name, so a reader, or a machine that loses power, finds the
    old file or the new one. When the block fails, also by Ctrl-C, the temporary file is removed and `path` is as it
    was. Folders on the way are made.

    Args:
        path: the file to write; an existing one is replaced.

    Yields:
        A path in the same folder, with the same suffix, at which nothing exists yet.

    Raises:
        DataError: the disk is full, the folder cannot be written, or the system refused otherwise.

    Example:
        >>> with whole_file(Path("scores.json")) as temporary:
        ...     temporary.write_text("{}")
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        if os.name == "posix":
            _flush(path.parent)
    except SegNetError:
        raise
    except OSError as cause:
        raise _cannot_be_written(path, cause) from cause
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_files(path: Path) -> Iterator[Path]:
    """As `whole_file`, for a format of several files beside each other, or of a folder.

    Gives a path of the same name in a temporary folder. What was written into that folder takes its place beside `path`
    when the block ends well: `path` goes first if it is there and comes last, so whoever finds it finds all that
    belongs to it. When the block fails, everything is as it was.

    Args:
        path: the file, or folder, by which the others are found; existing ones are replaced, but never a folder by a
            file or the other way round. Whether a folder's content may go is for the caller to ask.

    Yields:
        A path of the same name in an empty folder.

    Raises:
        DataError: as `whole_file`.
    """
    path = path.resolve() if path.is_dir() else path  # `.` has no name
    room = path.with_name(f".{path.stem}.{secrets.token_hex(4)}")
    try:
        room.mkdir(parents=True)
        yield room / path.name
        for made in room.rglob("*"):
            _flush(made)
        others = sorted(made for made in room.iterdir() if made.name != path.name)
        for made in (*others, room / path.name):
            _require_of_its_kind(made, path.with_name(made.name))
        if others:
            _remove(path)
        for made in (*others, room / path.name):
            place = path.with_name(made.name)
            if made.is_dir() and place == Path.cwd():  # it cannot be replaced under the feet of who stands in it
                for part in made.iterdir():
                    part.replace(place / part.name)
                continue
            if made.is_dir():
                _remove(place)
            made.replace(place)
        if os.name == "posix":
            _flush(path.parent)
    except SegNetError:
        raise
    except OSError as cause:
        raise _cannot_be_written(path, cause) from cause
    finally:
        shutil.rmtree(room, ignore_errors=True)


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuses to write over what is read.

    Raises:
        ConfigError: an output is an input, by whatever name; names it.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise ConfigError(f"{path} would be written over, and is also what is read; name another file or folder")


def _require_of_its_kind(made: Path, place: Path) -> None:
    if place.exists() and made.is_dir() != place.is_dir():
        raise OSError(errno.EISDIR if place.is_dir() else errno.ENOTDIR, "a folder and a file of one name")
    if made.is_dir() and place == Path.cwd() and {entry.name for entry in place.iterdir()} - {made.parent.name}:
        raise DataError(f"{place} is the folder you are in, and would be replaced; leave it, and name it from outside")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cannot_be_written(path: Path, cause: OSError) -> DataError:
    remedy = _REMEDIES.get(cause.errno or 0, "check the path and the disk")
    return DataError(f"{path} cannot be written: {cause.strerror or cause}; {remedy}")


def _flush(path: Path) -> None:
    """Waits until the disk holds what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def download(url: str, path: Path, sha256: str) -> None:
    """Fetches published weights to `path`, whole and with the hash that was promised, or not at all.

    Args:
        url: what to fetch.
        path: where to put it.
        sha256: the file's hash, or its first hexadecimal digits.

    Raises:
        WeightsError: no network, the transfer broke off, or another hash; says where to put the file by hand.
        DataError: the file cannot be written.
    """
    by_hand = f"put the file by hand at {path}"
    got = hashlib.sha256()
    with whole_file(path) as temporary, temporary.open("wb") as file:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                for chunk in iter(partial(answer.read, 1 << 20), b""):
                    got.update(chunk)
                    file.write(chunk)
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as cause:
            raise WeightsError(f"{url} cannot be fetched ({cause}); {by_hand}") from None
        if not got.hexdigest().startswith(sha256):
            raise WeightsError(
                f"{url} gave a file of sha256 {got.hexdigest()[:16]}..., expected {sha256[:16]}...; "
                f"it was thrown away; try again, or {by_hand}"
            )
