"""For those who run the service: whether it lives, whether it is ready, and its numbers."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from segnet.serve import counters
from segnet.serve.api import known_parameters_only
from segnet.serve.problem import Problem
from segnet.serve.refusal import RefusalError
from segnet.serve.service import Service

_PROMETHEUS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}
}
_NOT_NOW: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "No; `detail` says why."}}


class Health(BaseModel):
    """The answer is yes."""

    status: Literal["ok"] = "ok"


def health_router(service: Service) -> APIRouter:
    """The routes.

    Args:
        service: that is asked.
    """
    router = APIRouter(dependencies=[Depends(known_parameters_only)])

    @router.get("/livez", summary="Whether the process works; if not, restart it", responses=_NOT_NOW)
    @router.get("/healthz", summary="The same under an older name", responses=_NOT_NOW)
    async def live() -> Health:
        if stuck := service.stuck_models():
            raise _not_now("stuck", "models that answer", f"{', '.join(stuck)}, which does not", "restart the service")
        return Health()

    @router.get("/readyz", summary="Whether images are accepted", responses=_NOT_NOW)
    async def ready() -> Health:
        service.require_ready()
        return await live()

    @router.get("/metrics", summary="Counts and times, for Prometheus", response_class=Response, responses=_PROMETHEUS)
    async def metrics() -> Response:
        return Response(service.counters.text(), media_type=counters.CONTENT_TYPE)

    return router


def _not_now(error: str, expected: str, got: str, do: str) -> RefusalError:
    return RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, error, expected, got, do, {"Retry-After": "5"})
