"""Writing files so that they appear whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segnet.errors import ConfigError, DataError, SegNetError

_REMEDIES = {
    errno.ENOSPC: "free some space and run again",
    errno.EDQUOT: "free some space and run again",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "a folder has that name; choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}(\.\w+)?")  # of `whole_file` and `whole_files`
_left_over: dict[Path, dict[str, list[Path]]] = {}  # by folder and name, of the folders that this process has looked at


def cache_folder() -> Path:
    """The folder for downloads and cached files: `segnet` in `$XDG_CACHE_HOME`, else in `~/.cache`.

    For a user without a home folder it is a path where nothing exists and nothing can be written.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "segnet").expanduser()
    except RuntimeError:
        return Path(os.devnull, "segnet")


def is_file(path: Path) -> bool:
    """Whether the file exists; False if this user may not read its folder."""
    try:
        return path.is_file()
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; the file written there is renamed to `path` when the block succeeds.

    The file is flushed to the disk before it is renamed, so a reader finds the old file
    or the new one, even after a power failure. When the block fails, also by Ctrl-C, the temporary file is removed and
    `path` is not changed. Missing parent folders are created. What a killed process left of `path` is removed, unless
    another process writes in that folder.

    Args:
        path: the file to write; an existing one is replaced.

    Yields:
        A path in the same folder, with the same suffix, where nothing exists yet.

    Raises:
        DataError: the disk is full, the folder cannot be written, or another error of the system.

    Example:
        >>> with whole_file(Path("scores.json")) as temporary:
        ...     temporary.write_text("{}")
    """
    # in the same folder, since a rename is atomic only within one file system; random, as two processes may write it
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_of_killed(path)
        with _writing_in(path.parent):
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            if os.name == "posix":
                _flush(path.parent)
    except SegNetError:
        raise
    except OSError as cause:
        raise cannot_be_written(path, cause) from cause
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_files(path: Path) -> Iterator[Path]:
    """As `whole_file`, for a format of several files or of a folder.

    Yields a path of the same name in a temporary folder. The files written there are moved beside `path` when the block
    succeeds: an existing `path` is removed first and the new one is moved last, so a reader that finds `path` finds all
    files. When the block fails, nothing is changed.

    Args:
        path: the main file, or a folder; existing ones are replaced, but never a folder by a file or the other way
            round. The caller checks whether a folder's content may be replaced.

    Yields:
        A path of the same name in an empty folder.

    Raises:
        DataError: as `whole_file`.
    """
    path = path.resolve() if path.is_dir() else path  # `.` has no name
    folder = path.with_name(f".{path.stem}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_of_killed(path)
        with _writing_in(path.parent):
            folder.mkdir()
            yield folder / path.name
            _put_in_place(folder, path)
    except SegNetError:
        raise
    except OSError as cause:
        raise cannot_be_written(path, cause) from cause
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuses to overwrite an input.

    Raises:
        ConfigError: an output is the same file as an input; names it.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise ConfigError(f"{path} would be overwritten, but is also an input; name another file or folder")


def remove_left_over(paths: Iterable[Path]) -> None:
    """Removes what `whole_file` left of these files where its process was killed; no other process may write them."""
    by_folder: dict[Path, set[str]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, set()).add(path.name)
    for folder, names in by_folder.items():
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                match = _TEMPORARY.fullmatch(entry.name)
                if match and match[1] + (match[2] or "") in names:
                    Path(entry.path).unlink(missing_ok=True)


def _put_in_place(folder: Path, path: Path) -> None:
    """Moves what was made in a temporary folder beside `path`; the one of its name last."""
    for made in folder.rglob("*"):
        _flush(made)
    others = sorted(made for made in folder.iterdir() if made.name != path.name)
    for made in (*others, folder / path.name):
        _require_same_kind(made, path.with_name(made.name))
    if others:
        _remove(path)
    for made in (*others, folder / path.name):
        target = path.with_name(made.name)
        if made.is_dir() and target == Path.cwd():  # the working directory cannot be replaced
            for part in made.iterdir():
                part.replace(target / part.name)
            continue
        if made.is_dir():
            _remove(target)
        made.replace(target)
    if os.name == "posix":
        _flush(path.parent)


@contextmanager
def _writing_in(folder: Path) -> Iterator[None]:
    """Holds a shared lock on the folder: while there is one, no process takes its temporary files for left over."""
    with _locked(folder, exclusive=False):
        yield


@contextmanager
def _locked(folder: Path, *, exclusive: bool) -> Iterator[bool]:
    """Gives whether the lock was had, without waiting: some file systems have none, and Windows locks no folder."""
    try:
        import fcntl  # noqa: PLC0415 (not on Windows)

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            had = True
        except OSError:
            had = False
        yield had
    finally:
        os.close(descriptor)


def _remove_of_killed(path: Path) -> None:
    """Removes the temporary files of `path` that a process left which was killed.

    The folder is listed once in a process, at a moment when no process writes in it: what is there then is left over.
    """
    folder = path.parent.absolute()
    if folder not in _left_over:
        with _locked(folder, exclusive=True) as alone:
            if not alone:
                return
            found: dict[str, list[Path]] = {}
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    match = _TEMPORARY.fullmatch(entry.name)
                    if match:
                        found.setdefault(match[1] + (match[2] or ""), []).append(folder / entry.name)
            _left_over[folder] = found
    for name in {path.name, path.stem}:  # a folder of `whole_files` bears no suffix
        for left in _left_over[folder].pop(name, ()):
            if left.is_dir() or name == path.name:
                with contextlib.suppress(OSError):
                    _remove(left)


def _require_same_kind(made: Path, target: Path) -> None:
    if target.exists() and made.is_dir() != target.is_dir():
        raise OSError(errno.EISDIR if target.is_dir() else errno.ENOTDIR, "a folder and a file of one name")
    if made.is_dir() and target == Path.cwd() and {entry.name for entry in target.iterdir()} - {made.parent.name}:
        raise DataError(f"{target} is the working directory and would be replaced; run the command from another folder")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def cannot_be_written(path: Path, cause: OSError) -> DataError:
    """The error of a file that cannot be written, with what to do."""
    remedy = _REMEDIES.get(cause.errno or 0, "check the path and the disk")
    return DataError(f"{path} cannot be written: {cause.strerror or cause}; {remedy}")


def _flush(path: Path) -> None:
    """Flushes a file's content, or a folder's entries, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except PermissionError:
        if path.is_dir():
            return  # Windows opens no folder; its entries reach the disk without
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
