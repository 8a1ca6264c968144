"""Downloads files so that they appear whole and with the expected hash, or not at all."""

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from segnet.errors import WeightsError
from segnet.io.files import sha256_of, whole_file

TIMEOUT_S = 30
_ATTEMPTS = 4
_PAUSE_S = 0.5  # before the second attempt; doubled before each further one
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}  # and all of 500 and above


def download(url: str, path: Path, sha256: str) -> None:
    """Downloads published weights to `path`, whole and with the expected hash, or not at all.

    An interrupted transfer resumes from the byte it had reached, where the server can do that; a busy server is
    asked again. A terminal shows how far it is.

    Args:
        url: what to fetch.
        path: where to put it.
        sha256: the file's hash, or its first hexadecimal digits.

    Raises:
        WeightsError: no network, an interrupted transfer, or another hash; says where to put the file by hand.
        DataError: the file cannot be written.
    """
    by_hand = f"put the file by hand at {path}"
    attempts = 1 if url.startswith("file:") else _ATTEMPTS
    with whole_file(path) as temporary:
        with temporary.open("wb") as file, _shown(path.name) as advanced:
            for attempt in range(1, attempts + 1):
                try:
                    _go_on(url, file, advanced)
                    break
                except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as cause:
                    if attempt == attempts or not _may_pass(cause):
                        raise WeightsError(f"{url} cannot be fetched ({cause}); {by_hand}") from None
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
        if not (got := sha256_of(temporary)).startswith(sha256):
            raise WeightsError(
                f"{url} gave a file of sha256 {got[:16]}..., expected {sha256[:16]}...; "
                f"it was discarded; try again, or {by_hand}"
            )


def _go_on(url: str, file: BinaryIO, advanced: Callable[[int, int | None], None]) -> None:
    """Fetches what is missing at the end of `file`, or the whole where the server cannot begin in the middle.

    Raises:
        IncompleteRead: the connection closed early; what came is kept.
    """
    begun = file.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        if begun and answer.status != HTTPStatus.PARTIAL_CONTENT:
            begun = 0
            file.seek(0)
            file.truncate()
        told = answer.headers.get("Content-Length")
        expected = int(told) + begun if told else None
        for chunk in iter(partial(answer.read, 1 << 20), b""):
            file.write(chunk)
            advanced(file.tell(), expected)
    # http.client takes a connection that closes early for the end of the file.
    if expected is not None and file.tell() < expected:
        raise IncompleteRead(b"", expected - file.tell())


def _may_pass(cause: Exception) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(cause, urllib.error.HTTPError):
        return cause.code in _AGAIN or cause.code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return True


@contextmanager
def _shown(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A function to tell bytes so far and bytes in all (None: unknown); a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(name), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
