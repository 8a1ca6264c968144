"""The service for programs: POST /v1/segment, GET /v1/models, /healthz and /metrics."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from segnet.serve import counters
from segnet.serve.answers import (
    NPY,
    UNCERTAIN_MAPS,
    AnswerName,
    MapName,
    Summary,
    answer_name,
    classes_png,
    overlay_png,
    probabilities_npy,
    summary,
)
from segnet.serve.batches import Answered, Batches, Wishes
from segnet.serve.counters import Counters
from segnet.serve.decoding import decode_image
from segnet.serve.describe import BODY, SEGMENT_ANSWERS, SEGMENT_TEXT
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded, choose_model
from segnet.serve.refusal import RefusalError, overfull
from segnet.serve.upload import read_upload


class Model(BaseModel):
    """One model of the service."""

    name: str = Field(description="for ?model=", examples=["segnet-basic-camvid"])
    model: str = Field(examples=["segnet-basic"])
    label_set: str = Field(examples=["camvid-11"])
    class_names: list[str] = Field(description="the position is the class id", examples=[["sky", "road"]])
    class_colours: list[tuple[int, int, int]] = Field(examples=[[(128, 128, 128), (128, 64, 128)]])
    backend: str = Field(description="runtime, device, precision", examples=["eager, cpu, bfloat16"])
    bayesian: bool = Field(description="whether it can be sampled for uncertainty")
    scores: dict[str, float] = Field(description="as measured after training", examples=[{"mean_iou": 0.58}])


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


def api_router(models: dict[str, Loaded], batches: Batches, counted: Counters, limits: Limits) -> APIRouter:
    """The routes.

    Args:
        models: by name; the first is the one that requests get if they name none.
        batches: that run the images.
        counted: shown at /metrics.
        limits: of requests.
    """
    router = APIRouter()
    samples_text = f"above 0, a Bayesian model is sampled so many times, at most {limits.max_samples}"

    @router.post(
        "/v1/segment",
        summary="Segment an image",
        description=SEGMENT_TEXT,
        response_model=Summary,
        responses=SEGMENT_ANSWERS,
        openapi_extra={"requestBody": BODY},
    )
    async def segment(
        request: Request,
        model: Annotated[str | None, Query(description="a name of GET /v1/models; the first if left out")] = None,
        answer: Annotated[AnswerName | None, Query(description="goes before `Accept`")] = None,
        opacity: Annotated[float, Query(ge=0, le=1, description="of the colours in the overlay")] = 0.5,
        maps: Annotated[list[MapName] | None, Query(description="to put into the summary, PNG in base64")] = None,
        samples: Annotated[int, Query(ge=0, le=limits.max_samples, description=samples_text)] = 0,
    ) -> Response:
        chosen = choose_model(models, model)
        form = answer_name(answer, request.headers.get("accept", ""))
        expected_maps = list(dict.fromkeys(maps or []))
        _check_wishes(chosen, form, expected_maps, samples)
        wishes = Wishes("confidence" in expected_maps, form == "probabilities", samples)
        with batches.place():
            data = await read_upload(request, limits)
            image = await asyncio.to_thread(decode_image, data, limits.max_pixels)
            answered = await _in_time(batches.submit(chosen, image, wishes))
            return await asyncio.to_thread(_write(form, chosen, answered, opacity, expected_maps))

    @router.get("/v1/models", summary="The models")
    async def list_models() -> list[Model]:
        return [_model(loaded) for loaded in models.values()]

    @router.get("/healthz", summary="Whether the service answers")
    async def health() -> Health:
        return Health()

    @router.get(
        "/metrics",
        summary="Counts and times, for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}},
    )
    async def metrics() -> Response:
        return Response(counted.text(), media_type=counters.CONTENT_TYPE)

    async def _in_time(future: "Future[Answered]") -> Answered:
        try:
            async with asyncio.timeout(limits.answer_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            expected = f"an answer of the model within {limits.answer_s:g} s"
            retry = batches.retry_after_s()
            raise overfull(HTTPStatus.SERVICE_UNAVAILABLE, expected, "none in that time", retry) from None

    return router


def _check_wishes(model: Loaded, form: AnswerName, maps: list[MapName], samples: int) -> None:
    """Whether the parameters fit each other and the model.

    Raises:
        RefusalError: 422, they do not.
    """
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if maps and form != "summary":
        raise RefusalError(
            status, "maps_without_summary", "maps only in the summary", f"answer={form}", "take answer=summary"
        )
    if samples and not model.bayesian:
        expected, got = "a Bayesian model for samples", f"'{model.name}', which has no dropout to sample"
        raise RefusalError(status, "not_bayesian", expected, got, "take another model, or samples=0")
    if not samples and (uncertain := [name for name in maps if name in UNCERTAIN_MAPS]):
        expected, got = f"samples of a Bayesian model for maps={uncertain[0]}", "samples=0"
        raise RefusalError(status, "maps_without_samples", expected, got, "add samples=8, or leave that map out")


def _write(
    form: AnswerName, model: Loaded, answered: Answered, opacity: float, maps: list[MapName]
) -> Callable[[], Response]:
    prediction = answered.prediction
    forms: dict[AnswerName, Callable[[], Response]] = {
        "summary": lambda: Response(summary(model, answered, maps).model_dump_json(), media_type="application/json"),
        "classes": lambda: Response(classes_png(prediction), media_type="image/png"),
        "overlay": lambda: Response(overlay_png(prediction, opacity), media_type="image/png"),
        "probabilities": lambda: Response(probabilities_npy(prediction), media_type=NPY),
    }
    return forms[form]


def _model(loaded: Loaded) -> Model:
    card = loaded.predictor.card
    return Model(
        name=loaded.name,
        model=card.model,
        label_set=card.label_set.name,
        class_names=list(card.label_set.names),
        class_colours=list(card.label_set.colours),
        backend=str(loaded.predictor),
        bayesian=loaded.bayesian,
        scores={name: score for name, score in card.scores.items() if math.isfinite(score)},
    )
