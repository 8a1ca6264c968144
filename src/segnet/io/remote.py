"""Files that are not on this machine, by fsspec: `s3://`, `gs://`, `az://`, `https://`, `memory://` and others.

fsspec comes with PyTorch; the packages that speak with a store come with the extra `remote`. Credentials and addresses
of servers are those of the store's own tools, such as `AWS_PROFILE` and `AWS_ENDPOINT_URL`, and fsspec's own variables,
such as `FSSPEC_S3_ANON=true`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segnet.errors import ConfigError, DataError, SegNetError, nearest

MOST_BYTES = 64 * 2**30
"""Of one file that is fetched: a server may send without end."""

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_WEB = ("http", "https")
_OTHER_PACKAGES = {"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "adl": "adlfs"}
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound")
_CHUNK_BYTES = 1 << 20


class RemoteFile(NamedTuple):
    """A file below an address.

    Attributes:
        name: relative to the address, with `/` between folders; the file's own name where the address is a file.
        version: differs when the content does, as far as the store tells.
        size_bytes: None where the store does not tell.
    """

    name: str
    version: str
    size_bytes: int | None


def is_address(text: str) -> bool:
    """Whether it begins as `s3://` does; a path does not."""
    return _SCHEME.match(text) is not None


def scheme_of(address: str) -> str:
    """`s3` of `s3://bucket/photos`, in small letters."""
    match = _SCHEME.match(address)
    return match[1].lower() if match else ""


class RemoteFolder:
    """What lies at an address: a file, or a folder with all folders in it.

    Args:
        address: such as `s3://bucket/photos`.

    Raises:
        ConfigError: an unknown scheme, or a package that is not installed.
        DataError: no credentials.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/") if scheme_of(address) not in _WEB else address
        with clear_errors(self.address):
            self._files, self._root = _file_system(self.address)

    def files(self) -> list[RemoteFile]:
        """All files, by name.

        Raises:
            DataError: the address does not exist, access is denied, or a name leads out of the folder.
        """
        with clear_errors(self.address):
            facts = self._files.info(self._root)
            if facts.get("type") == "file" or scheme_of(self.address) in _WEB:
                name = PurePosixPath(self._root.partition("?")[0]).name or "index"
                return [RemoteFile(name, _version(facts), facts.get("size"))]
            self._files.invalidate_cache()
            found = self._files.find(self._root, detail=True)
        files = [
            RemoteFile(self._relative(path), _version(facts), facts.get("size"))
            for path, facts in found.items()
            if facts.get("type") == "file" and self._relative(path)
        ]
        for file in files:
            require_inside(file.name, self.address)
        return sorted(files)

    def address_of(self, name: str) -> str:
        """The full address of one of `files`."""
        return self.address if name == PurePosixPath(self._root).name else f"{self.address}/{name}"

    def open(self, name: str = "") -> Any:
        """A file to read, binary and seekable; without a name that of the address itself.

        Raises:
            DataError: it cannot be read.
        """
        with clear_errors(self.address):
            return self._files.open(f"{self._root}/{name}" if name else self._root, "rb")

    def fetch(self, name: str, path: Path) -> None:
        """Copies a file to this machine; without a name that of the address itself.

        Raises:
            DataError: it cannot be read, or has more than `MOST_BYTES`.
        """
        address = f"{self.address}/{name}" if name else self.address
        whole = {"block_size": 0} if scheme_of(address) in _WEB else {}  # not every web server sends parts of a file
        with clear_errors(address), path.open("wb") as file:
            where = f"{self._root}/{name}" if name else self._root
            with self._files.open(where, "rb", **whole) as source:
                copy_bounded(source, file, MOST_BYTES, address)

    def put(self, path: Path, name: str) -> None:
        """Writes a file from this machine, whole: stores show an object only when all of it has arrived.

        Raises:
            DataError: it cannot be written.
        """
        with clear_errors(f"{self.address}/{name}", "written"):
            self._files.put_file(str(path), f"{self._root}/{name}")

    def names(self) -> set[str]:
        """Names of all files; none where the folder does not exist yet.

        Raises:
            DataError: access is denied.
        """
        with clear_errors(self.address):
            self._files.invalidate_cache()
            try:
                return {self._relative(path) for path in self._files.find(self._root)}
            except FileNotFoundError:
                return set()

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/") if self._root.strip("/") else path.lstrip("/")


def copy_bounded(source: Any, file: Any, most_bytes: int, address: str) -> None:
    """Copies a stream.

    Raises:
        DataError: it is longer than allowed.
    """
    copied = 0
    while chunk := source.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > most_bytes:
            raise DataError(f"{address} has more than {most_bytes / 2**30:.0f} GiB; fetch it yourself if you trust it")
        file.write(chunk)


def require_inside(name: str, address: str) -> None:
    """Refuses a name by which a result would be written outside of its folder.

    Raises:
        DataError: an absolute name, one with `..`, or one that another system reads so.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0].startswith("/") or "\\" in name or ":" in parts[0] or "\0" in name:
        raise DataError(f"{address} holds '{name}', which leads out of it; nothing was read")


@contextmanager
def clear_errors(address: str, what: str = "read") -> Iterator[None]:
    """Within the block, whatever the package of a store raises becomes one line that says what to do.

    Raises:
        DataError: instead of those errors.
        ConfigError: a package is missing.
    """
    try:
        yield
    except SegNetError:
        raise
    except ImportError as cause:
        scheme = scheme_of(address)
        package = _OTHER_PACKAGES.get(scheme, "'segnet[remote]'")
        raise ConfigError(f"{scheme}:// needs a package that is not installed; pip install {package}") from cause
    except FileNotFoundError as cause:
        raise DataError(f"{address} does not exist; check the names of bucket and file") from cause
    except PermissionError as cause:
        raise DataError(f"{address}: permission denied; check the credentials and what they allow") from cause
    except Exception as cause:  # each store has a tree of errors of its own
        if type(cause).__name__ in _NO_CREDENTIALS:
            raise DataError(
                f"{address}: no credentials found; sign in with the store's own tool, or set FSSPEC_"
                f"{scheme_of(address).upper()}_ANON=true for a public bucket"
            ) from cause
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise DataError(f"{address} cannot be {what}: {reason}; check the address and the network") from cause


@lru_cache(maxsize=16)
def _file_system(address: str) -> tuple[Any, str]:
    """The file system of fsspec and the path in it; errors of fsspec, and ConfigError for an unknown scheme."""
    known = import_module("fsspec").available_protocols()  # imported here: not needed without an address
    scheme = scheme_of(address)
    if scheme not in known:
        raise ConfigError(f"{address}: unknown kind of address '{scheme}'; {nearest(scheme, known)}")
    files, root = import_module("fsspec.core").url_to_fs(address)
    return files, str(root)


def _version(facts: dict[str, Any]) -> str:
    known = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")
    said = next((str(facts[name]) for name in known if facts.get(name)), "")
    return f"{facts.get('size')}-{said}"
