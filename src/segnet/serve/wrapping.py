"""Around every request: security headers, a request id, HEAD, counts, the access log, and errors as problems."""

import json
import logging
import re
import secrets
from contextlib import ExitStack
from http import HTTPStatus
from time import perf_counter

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segnet.serve.counters import Counters
from segnet.serve.limits import Limits
from segnet.serve.problem import problem_response
from segnet.serve.refusal import RefusalError
from segnet.serve.service import HELD
from segnet.serve.upload import discard

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",  # with the next one, the page may use threads
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self' blob: data:; worker-src 'self' blob:; media-src 'self' blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_ID = re.compile("[A-Za-z0-9._-]{1,64}")
_REQUEST_ID = "segnet.request_id"
access_log = logging.getLogger("segnet.serve.access")


class Watched:
    """The app with what belongs to every request; answers to POST /v1/segment are counted.

    Args:
        app: to wrap.
        counted: told of each answer.
    """

    def __init__(self, app: ASGIApp, counted: Counters) -> None:
        self._app, self._counted = app, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, sent_bytes = perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR), 0
        method, path = scope["method"], scope["path"]
        request_id = scope[_REQUEST_ID] = _id_of(scope)
        if method == "HEAD":
            scope["method"] = "GET"  # routes know GET only; the answer's body is left out below

        async def send_wrapped(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS | {"X-Request-ID": request_id})
                headers.setdefault("Cache-Control", "no-store" if method == "POST" else "no-cache")
            elif method == "HEAD":
                message = {**message, "body": b""}
            sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            with ExitStack() as held:
                scope[HELD] = held
                await self._app(scope, receive, send_wrapped)
        finally:
            seconds = perf_counter() - begun
            if (method, path) == ("POST", "/v1/segment"):
                self._counted.request(status, seconds)
            _log(scope, method, status, sent_bytes, seconds)


def answer_errors_as_problems(app: FastAPI, limits: Limits) -> None:
    """Every error becomes a `Problem`; what is left of the request's body is discarded.

    Args:
        app: to which the handlers are added.
        limits: of bodies that are discarded.
    """

    @app.exception_handler(RefusalError)
    async def refused(request: Request, refusal: RefusalError) -> JSONResponse:
        if refusal.status != HTTPStatus.REQUEST_TIMEOUT:
            await discard(request, limits)
        return problem_response(refusal, request.scope.get(_REQUEST_ID))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = ".".join(str(step) for step in first["loc"][1:])
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        expected, got = f"{name}: {first['msg']}", f"{str(first['input'])[:80]!r}"
        return await refused(request, RefusalError(status, "wrong_parameter", expected, got, "see /openapi.json"))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        status, got = HTTPStatus(error.status_code), f"{request.method} {request.url.path[:80]}"
        expected, do = "a method and path of /openapi.json", "POST images to /v1/segment, or open / in a browser"
        headers = dict(error.headers or {})
        return await refused(request, RefusalError(status, status.name.lower(), expected, got, do, headers))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        status, got = HTTPStatus.INTERNAL_SERVER_ERROR, type(error).__name__
        do = "try another image; the server's own output says more"
        return await refused(request, RefusalError(status, "failed", "an answer of the model", got, do))


def _id_of(scope: Scope) -> str:
    """The id that the client or its proxy gave, or a new one."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _ID.fullmatch(given) else secrets.token_hex(8)


def _log(scope: Scope, method: str, status: int, sent_bytes: int, seconds: float) -> None:
    if access_log.isEnabledFor(logging.INFO):
        client = scope["client"][0] if scope.get("client") else None
        record = {"method": method, "path": scope["path"][:200], "status": status, "ms": round(1000 * seconds, 1)}
        record |= {"bytes": sent_bytes, "client": client, "request_id": scope[_REQUEST_ID]}
        access_log.info(json.dumps(record))
