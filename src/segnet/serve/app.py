"""The service as one ASGI app: API, page, and what is around them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from starlette.concurrency import run_in_threadpool

from segnet.serve.api import api_router
from segnet.serve.assets import Asset
from segnet.serve.batches import Batches
from segnet.serve.counters import Counters
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.wrapping import Watched, answer_errors_as_json
from segnet.version import __version__


def create_app(models: dict[str, Loaded], limits: Limits, assets: Mapping[str, Asset]) -> FastAPI:
    """Builds the app; its start begins the batches, its end finishes those that were taken.

    Args:
        models: models by name.
        limits: of requests.
        assets: files of the page, by path; nothing else can be read.

    Example:
        >>> app = create_app(load_models(["segnet-basic-camvid"]), Limits(), {})
    """
    counted = Counters(lambda: batches.taken)
    batches = Batches(limits, counted.batch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batches.start()
        yield
        await run_in_threadpool(batches.close)

    app = FastAPI(
        title="SegNet",
        summary="Every pixel a class.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its page would come from another host
        redoc_url=None,
    )
    app.include_router(api_router(models, batches, counted, limits))
    for path, asset in assets.items():
        _offer(app, "/" + path, asset)
        if path == "index.html":
            _offer(app, "/", asset)
    answer_errors_as_json(app, limits)
    app.add_middleware(Watched, counted=counted)
    return app


def _offer(app: FastAPI, path: str, asset: Asset) -> None:
    async def answer() -> Response:
        return Response(await run_in_threadpool(asset.read), media_type=asset.media_type)

    app.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)
