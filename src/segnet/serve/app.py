"""The service as one ASGI app: API, page, and what belongs to every request."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from segnet.serve.api import api_router, known_parameters_only
from segnet.serve.api_page import api_page
from segnet.serve.assets import Asset
from segnet.serve.describe import describe_problems
from segnet.serve.health import health_router
from segnet.serve.keys import ApiKeys
from segnet.serve.kserve import kserve_router
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.service import Service
from segnet.serve.static_files import StaticFiles
from segnet.serve.wrapping import Watched, answer_errors_as_problems
from segnet.version import __version__


def create_app(
    models: dict[str, Loaded],
    limits: Limits,
    assets: Mapping[str, Asset],
    *,
    load: Callable[[], None] | None = None,
    on_loaded: Callable[[BaseException | None], None] = lambda _: None,
    allowed_origins: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> FastAPI:
    """Builds the app; its start begins the workers, its end stops them. `app.state.service` is the `Service`.

    Args:
        models: models by name.
        limits: of requests.
        assets: files of the page, by path; nothing else can be read.
        load: fills `models` and `assets` while the service answers 503 already; called in a thread.
        on_loaded: told in the event loop that all is loaded, or what went wrong.
        keys: API keys, one of which each request to /v1 and /v2 must carry; none lets everybody in.
        allowed_origins: pages of other hosts that browsers let use the API, such as `https://example.org`.

    Example:
        >>> app = create_app(load_models(["segnet-basic-camvid"]), Limits(), {})
    """
    service, files = Service(models, limits), StaticFiles(assets)

    async def load_and_begin(load: Callable[[], None]) -> None:
        try:
            await _in_daemon(load)
        except Exception as error:
            on_loaded(error)
        else:
            service.begin()
            on_loaded(None)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load_and_begin(load)) if load else None
        if not load:
            service.begin()
        yield
        is_loading = loading is not None and not loading.done()
        if loading:
            loading.cancel()
        await service.close()
        service.has_ended = service.has_ended and not is_loading and not files.is_making

    app = FastAPI(
        title="SegNet",
        summary="Every pixel a class.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its page would come from another host
        redoc_url=None,
    )
    app.state.service = service
    guards = [Depends(_require_key(ApiKeys(list(keys)))), Depends(known_parameters_only)]
    app.include_router(api_router(service), dependencies=guards)
    app.include_router(kserve_router(service), dependencies=guards)
    app.include_router(health_router(service))
    app.add_api_route("/docs", _docs_of(app), include_in_schema=False)
    app.router.default = _file_or_404(files, service)
    answer_errors_as_problems(app, limits)
    describe_problems(app, needs_key=bool(keys))
    if allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    app.add_middleware(Watched, counted=service.counters)
    return app


def _require_key(keys: ApiKeys) -> Callable[[Request], None]:
    def require_key(request: Request) -> None:
        keys.require(request)

    return require_key


def _docs_of(app: FastAPI) -> Callable[[], Awaitable[HTMLResponse]]:
    async def docs() -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi()))

    return docs


def _file_or_404(files: StaticFiles, service: Service) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if (name := files.path_of(scope["path"])) is None:
            if service.state == "loading":  # the page is among what is loading
                service.require_ready()
            raise HTTPException(HTTPStatus.NOT_FOUND)
        if request.method != "GET":
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        response = await files.answer(request, name)
        await response(scope, receive, send)

    return answer


async def _in_daemon(work: Callable[[], None]) -> None:
    """Runs `work` in a thread that does not keep the program from ending."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def finish(error: Exception | None) -> None:
        if not done.cancelled():
            done.set_result(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, name="loading", daemon=True).start()
    if (error := await done) is not None:
        raise error
