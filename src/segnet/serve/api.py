"""The service for programs: POST /v1/segment and GET /v1/models."""

import json
import math
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from segnet.data.class_files import IdsOut, written_ids
from segnet.serve.answers import (
    GEOJSON,
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
from segnet.serve.describe import BATCH_BODY, BODY, SEGMENT_ANSWERS, SEGMENT_TEXT
from segnet.serve.models import Loaded, choose_model
from segnet.serve.predicting import PredictionOptions
from segnet.serve.problem import Problem, problem_of
from segnet.serve.refusal import RefusalError
from segnet.serve.service import Service
from segnet.serve.shapes import Masks, Polygons, geojson, polygons, run_lengths
from segnet.serve.workers import Answered

_MOST_LONGEST_SIDE_PX = 16_384
_IDS_TEXT = (
    "numbers of the classes: `files`, those of the label files that the model was trained on, or `classes`, 0 to K-1; "
    "GET /v1/models has both"
)


class Model(BaseModel):
    """One model of the service."""

    name: str = Field(description="for ?model=", examples=["segnet-basic-camvid"])
    model: str = Field(examples=["segnet-basic"])
    label_set: str = Field(examples=["camvid-11"])
    class_names: list[str] = Field(description="the position is the id of `ids=classes`", examples=[["sky", "road"]])
    class_ids: list[int] = Field(description="of the same classes, as in answers with `ids=files`", examples=[[0, 1]])
    class_colours: list[tuple[int, int, int]] = Field(examples=[[(128, 128, 128), (128, 64, 128)]])
    backend: str = Field(description="runtime, device, precision", examples=["eager, cpu, bfloat16"])
    bayesian: bool = Field(description="whether it can be sampled for uncertainty")
    scores: dict[str, float] = Field(description="as measured after training", examples=[{"mean_iou": 0.58}])


class BatchSummary(BaseModel):
    """The answers to several images, in their order."""

    images: list[Summary | Problem]


def known_parameters_only(request: Request) -> None:
    """Refuses a query parameter that the route does not have: a typing error must not be ignored in silence.

    Raises:
        RefusalError: 422, naming it.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            expected = f"the parameters {', '.join(known)}" if known else "no parameters"
            status, do = HTTPStatus.UNPROCESSABLE_ENTITY, "correct it, or leave it out; /openapi.json lists them"
            raise RefusalError(status, "unknown_parameter", expected, f"'{name[:80]}'", do)


def api_router(service: Service) -> APIRouter:
    """The routes.

    Args:
        service: whose models are offered.
    """
    router = APIRouter()
    max_samples = service.limits.max_samples
    samples_text = f"above 0, a Bayesian model is sampled so many times, at most {max_samples}"

    @router.post(
        "/v1/segment",
        summary="Segment an image",
        description=SEGMENT_TEXT,
        response_model=Summary | Polygons | Masks,
        responses=SEGMENT_ANSWERS,
        openapi_extra={"requestBody": BODY},
    )
    async def segment(
        request: Request,
        model: Annotated[str | None, Query(description="a name of GET /v1/models; the first if left out")] = None,
        answer: Annotated[AnswerName | None, Query(description="goes before `Accept`")] = None,
        opacity: Annotated[float, Query(ge=0, le=1, description="of the colours in the overlay")] = 0.5,
        maps: Annotated[list[MapName] | None, Query(description="to include in the summary, PNG in base64")] = None,
        samples: Annotated[int, Query(ge=0, le=max_samples, description=samples_text)] = 0,
        ids: Annotated[IdsOut, Query(description=_IDS_TEXT)] = "files",
        longest_side: Annotated[
            int | None,
            Query(
                ge=0,
                le=_MOST_LONGEST_SIDE_PX,
                description="larger images are resized to it before the model sees them, near the size of its "
                "training; the answer has the image's own size. 0 never resizes, the default is that of the weights",
            ),
        ] = None,
    ) -> Response:
        service.require_ready()
        chosen = choose_model(service.models, model)
        form = answer_name(answer, request.headers.get("accept", ""))
        chosen_maps = list(dict.fromkeys(maps or []))
        _check_options(chosen, form, chosen_maps, samples)
        side_px = chosen.longest_side_px(longest_side)
        options = PredictionOptions("confidence" in chosen_maps, form == "probabilities", samples, side_px)
        write = partial(_write, form, chosen, opacity=opacity, maps=chosen_maps, ids=ids)
        return await service.answer(request, chosen, options, write)

    @router.post(
        "/v1/segment/batch",
        summary="Segment several images",
        description=f"A form of up to {service.limits.images_of_a_form} images; a summary or a problem for each.",
        response_model=BatchSummary,
        responses={status: answer for status, answer in SEGMENT_ANSWERS.items() if status not in (200, 406)},
        openapi_extra={"requestBody": BATCH_BODY},
    )
    async def segment_batch(
        request: Request,
        model: Annotated[str | None, Query(description="as for /v1/segment")] = None,
        maps: Annotated[list[MapName] | None, Query(description="as for /v1/segment")] = None,
        samples: Annotated[int, Query(ge=0, le=max_samples, description="as for /v1/segment")] = 0,
        ids: Annotated[IdsOut, Query(description="as for /v1/segment")] = "files",
        longest_side: Annotated[
            int | None, Query(ge=0, le=_MOST_LONGEST_SIDE_PX, description="as for /v1/segment")
        ] = None,
    ) -> Response:
        service.require_ready()
        chosen, chosen_maps = choose_model(service.models, model), list(dict.fromkeys(maps or []))
        _check_options(chosen, "summary", chosen_maps, samples)
        side_px = chosen.longest_side_px(longest_side)
        options = PredictionOptions("confidence" in chosen_maps, False, samples, side_px)
        answers = await service.answer_many(
            request, chosen, options, lambda answered: summary(chosen, answered, chosen_maps, ids)
        )
        images = [problem_of(answer) if isinstance(answer, RefusalError) else answer for answer in answers]
        text = await run_in_threadpool(BatchSummary(images=images).model_dump_json)
        return Response(text, media_type="application/json")

    @router.get("/v1/models", summary="The models")
    async def list_models() -> list[Model]:
        return [_model(loaded) for loaded in service.models.values()]

    return router


def _check_options(model: Loaded, form: AnswerName, maps: list[MapName], samples: int) -> None:
    """Whether the parameters fit each other and the model.

    Raises:
        RefusalError: 422, they do not.
    """
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if maps and form != "summary":
        raise RefusalError(
            status, "maps_without_summary", "maps only in the summary", f"answer={form}", "use answer=summary"
        )
    if samples and not model.bayesian:
        expected, got = "a Bayesian model for samples", f"'{model.name}', which has no dropout to sample"
        raise RefusalError(status, "not_bayesian", expected, got, "use another model, or samples=0")
    if not samples and (uncertain := [name for name in maps if name in UNCERTAIN_MAPS]):
        expected, got = f"samples of a Bayesian model for maps={uncertain[0]}", "samples=0"
        raise RefusalError(status, "maps_without_samples", expected, got, "add samples=8, or leave that map out")


def _write(
    form: AnswerName, model: Loaded, answered: Answered, *, opacity: float, maps: list[MapName], ids: IdsOut
) -> Response:
    prediction = answered.prediction
    forms: dict[AnswerName, Callable[[], Response]] = {
        "summary": lambda: Response(
            summary(model, answered, maps, ids).model_dump_json(), media_type="application/json"
        ),
        "classes": lambda: Response(classes_png(prediction, ids), media_type="image/png"),
        "overlay": lambda: Response(overlay_png(prediction, opacity), media_type="image/png"),
        "probabilities": lambda: Response(probabilities_npy(prediction), media_type=NPY),
        "polygons": lambda: Response(json.dumps(polygons(prediction, ids)), media_type="application/json"),
        "geojson": lambda: Response(json.dumps(geojson(prediction, ids)), media_type=GEOJSON),
        "rle": lambda: Response(json.dumps(run_lengths(prediction, ids)), media_type="application/json"),
    }
    return forms[form]()


def _model(loaded: Loaded) -> Model:
    card = loaded.predictor.card
    return Model(
        name=loaded.name,
        model=card.model,
        label_set=card.label_set.name,
        class_names=list(card.label_set.names),
        class_ids=list(written_ids(card.label_set)),
        class_colours=list(card.label_set.colours),
        backend=str(loaded.predictor),
        bayesian=loaded.bayesian,
        scores={name: score for name, score in card.scores.items() if math.isfinite(score)},
    )
