"""Files of the page as answers: made once, with an ETag, compressed once; who comes meanwhile waits without a thread.

Starlette's GZipMiddleware would compress 14 MB of WebAssembly in the event loop at every request, and its StaticFiles
reads from a folder; these files come from functions, some of which take seconds the first time.
"""

import asyncio
import gzip
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from segnet.serve.accept import preferred
from segnet.serve.assets import Asset
from segnet.serve.refusal import RefusalError

_logger = logging.getLogger("segnet.serve")
_REMEMBER_FAILURE_S = 60
_LEAST_BYTES = 1000
_COMPRESSED = ("text/", "application/json", "application/wasm", "application/octet-stream", "image/svg+xml")
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _Made:
    content: bytes
    compressed: bytes | None
    etag: str


class StaticFiles:
    """The files of the page.

    Args:
        assets: by path; may be filled later.
    """

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = assets
        self._making: dict[str, asyncio.Task[_Made]] = {}
        self._failed_at: dict[str, float] = {}

    @property
    def is_making(self) -> bool:
        """Whether a thread makes a file now."""
        return any(not task.done() for task in self._making.values())

    def path_of(self, path: str) -> str | None:
        """The file that an URL's path names; None where there is none."""
        name = path.removeprefix("/") or "index.html"
        return name if name in self._assets else None

    async def answer(self, request: Request, name: str) -> Response:
        """The file, or 304 where the client has it.

        Args:
            request: whose headers say what the client has and accepts.
            name: of `path_of`.

        Raises:
            RefusalError: 503, the file could not be made; tried again after a minute.
        """
        made = await self._made(name)
        compressed = made.compressed is not None and "gzip" in (
            preferred(request.headers.get("accept-encoding", "identity"), ("gzip",)) or ""
        )
        etag = f'"{made.etag}-gzip"' if compressed else f'"{made.etag}"'
        current = request.query_params.get("v") == made.etag
        headers = {"ETag": etag, "Vary": "Accept-Encoding", "Cache-Control": _IMMUTABLE if current else "no-cache"}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {etag, "*"}:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if compressed:
            headers["Content-Encoding"] = "gzip"
        content = made.compressed if compressed else made.content
        return Response(content, headers=headers, media_type=self._assets[name].media_type)

    async def _made(self, name: str) -> _Made:
        task = self._making.get(name)
        if task is None or (task.done() and monotonic() - self._failed_at.get(name, monotonic()) > _REMEMBER_FAILURE_S):
            self._failed_at.pop(name, None)
            task = self._making[name] = asyncio.create_task(run_in_threadpool(_make, self._assets[name]))
        try:
            return await asyncio.shield(task)  # who leaves does not stop it for the others
        except Exception as error:
            if name not in self._failed_at:
                _logger.warning("%s was not made: %s: %s", name, type(error).__name__, error)
            self._failed_at.setdefault(name, monotonic())
            expected, got = f"the file {name}", "an error while it was made; the server's own output says more"
            status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(_REMEMBER_FAILURE_S)}
            raise RefusalError(status, "not_made", expected, got, "let the server run the model", headers) from None


def _make(asset: Asset) -> _Made:
    content = asset.read()
    worthwhile = len(content) >= _LEAST_BYTES and asset.media_type.startswith(_COMPRESSED)
    compressed = gzip.compress(content, 6, mtime=0) if worthwhile else None
    return _Made(content, compressed, hashlib.sha256(content).hexdigest()[:16])
