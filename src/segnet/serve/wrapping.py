"""Around every request: headers of safety, counts, and errors as JSON."""

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
from segnet.serve.refusal import RefusalError
from segnet.serve.upload import discard

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",  # with the next one, the page may use threads
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}


class Watched:
    """The app with `HEADERS` on every answer, and its answers to POST /v1/segment counted.

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
        begun, status = perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            if (scope["method"], scope["path"]) == ("POST", "/v1/segment"):
                self._counted.request(status, perf_counter() - begun)


def answer_errors_as_json(app: FastAPI, limits: Limits) -> None:
    """Every error becomes the JSON body `Refused`; what is left of the request's body is thrown away.

    Args:
        app: to which the handlers are added.
        limits: of bodies that are thrown away.
    """

    @app.exception_handler(RefusalError)
    async def refused(request: Request, refusal: RefusalError) -> JSONResponse:
        if refusal.status != HTTPStatus.REQUEST_TIMEOUT:
            await discard(request, limits)
        return JSONResponse(refusal.body.model_dump(), refusal.status, refusal.headers)

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
