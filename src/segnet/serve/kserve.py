"""The Open Inference Protocol, version 2, beside the service's own: for clients of KServe, Triton and others.

    input     `image`     UINT8 (N, H, W, 3), RGB: JSON, or binary data after the JSON
    output    `classes`   UINT8 (N, H, W), class ids 0 to K-1

Source:
    https://github.com/kserve/open-inference-protocol, REST, and its binary tensor data extension.
"""

import asyncio
import json
import math
from http import HTTPStatus
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segnet.data.sample import Image8
from segnet.io.text import whole_number
from segnet.serve.models import Loaded, choose_model
from segnet.serve.predicting import PredictionOptions
from segnet.serve.problem import Problem
from segnet.serve.refusal import RefusalError
from segnet.serve.service import Service
from segnet.version import __version__

_HEADER = "inference-header-content-length"
_MOST_JSON_BYTES = 4 * 2**20  # numbers as text hold the interpreter while they are read; large images go as binary data
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": "See POST /v1/segment."} for status in (400, 404, 408, 413, 429, 500, 503)
}


class Tensor(BaseModel):
    """A tensor of the protocol."""

    model_config = ConfigDict(strict=True)
    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """The JSON of an inference request."""

    id: str | None = Field(None, max_length=200)
    inputs: list[Tensor] = Field(min_length=1, max_length=8)


class InferResponse(BaseModel):
    """The JSON of an inference answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


class Ready(BaseModel):
    """Whether the server or a model is ready."""

    name: str | None = None
    ready: bool = True


class Live(BaseModel):
    """Whether the server lives."""

    live: Literal[True] = True


class Server(BaseModel):
    """The server."""

    name: str = "segnet"
    version: str = __version__
    extensions: list[str] = ["binary_tensor_data"]


class TensorKind(BaseModel):
    """What a tensor of a model looks like; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorKind]
    outputs: list[TensorKind]


def kserve_router(service: Service) -> APIRouter:
    """The routes.

    Args:
        service: whose models are offered.
    """
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @router.get("", summary="The server")
    async def server() -> Server:
        return Server()

    @router.get("/health/live", summary="Whether the server lives")
    async def live() -> Live:
        return Live()

    @router.get("/health/ready", summary="Whether all models are ready", responses=_PROBLEMS)
    async def ready() -> Ready:
        service.require_ready()
        return Ready()

    @router.get("/models/{name}", summary="A model", responses=_PROBLEMS)
    async def metadata(name: str) -> ModelMetadata:
        return _metadata(_model(service, name))

    @router.get("/models/{name}/ready", summary="Whether a model is ready", responses=_PROBLEMS)
    async def model_ready(name: str) -> Ready:
        return Ready(name=_model(service, name).name)

    @router.post(
        "/models/{name}/infer",
        summary="Segment images of one size",
        response_model=InferResponse,
        responses=_PROBLEMS,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}},
    )
    async def infer(request: Request, name: str) -> Response:
        model = _model(service, name)
        body = await service.read_body(request)
        asked, images = await asyncio.to_thread(_read, body, request.headers.get(_HEADER))
        options = PredictionOptions(longest_side_px=model.longest_side_px(None))
        answered = await service.answer_arrays(request, model, images, options)
        classes = np.stack([each.prediction.classes for each in answered])
        return await asyncio.to_thread(_written, model, asked, classes, _HEADER in request.headers)

    return router


def _model(service: Service, name: str) -> Loaded:
    service.require_ready()
    return choose_model(service.models, name)


def _metadata(model: Loaded) -> ModelMetadata:
    return ModelMetadata(
        name=model.name,
        versions=[__version__],
        platform=f"segnet, {model.predictor}",
        inputs=[TensorKind(name="image", datatype="UINT8", shape=[-1, -1, -1, 3])],
        outputs=[TensorKind(name="classes", datatype="UINT8", shape=[-1, -1, -1])],
    )


def _read(body: bytes, header_length: str | None) -> tuple[InferRequest, list[Image8]]:
    """The request, and its images.

    Raises:
        RefusalError: 400 for another form, 413 for JSON that is too long.
    """
    length = len(body)
    if header_length is not None:
        named = whole_number(header_length)
        if named is None or named > length:
            raise _refused(f"{_HEADER} within the body of {length} bytes", header_length[:40])
        length = named
    if length > _MOST_JSON_BYTES:
        expected, do = f"JSON of at most {_MOST_JSON_BYTES:,} bytes", "send the image as binary data after the JSON"
        raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_much_json", expected, f"{length:,}", do)
    try:
        asked = InferRequest.model_validate(json.loads(body[:length]))
    except ValidationError as cause:
        first = cause.errors()[0]
        raise _refused("an inference request", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise _refused("an inference request in JSON", "something else") from None
    tensor = asked.inputs[0]
    shape, kind = tensor.shape, f"{tensor.name} {tensor.datatype} {tensor.shape}"
    fits = len(shape) == 4 and shape[3] == 3 and min(shape) > 0
    if len(asked.inputs) > 1 or tensor.name != "image" or tensor.datatype != "UINT8" or not fits:
        raise _refused("one input: image UINT8 [N, H, W, 3]", kind[:120])
    values = _binary(body[length:]) if tensor.data is None else _from_json(tensor.data)
    if values.size != math.prod(shape):
        raise _refused(f"{math.prod(shape)} values for the shape {shape}", f"{values.size}")
    return asked, list(values.reshape(shape))


def _binary(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def _from_json(data: list[Any]) -> np.ndarray:
    try:
        values = np.asarray(data).ravel()
    except (ValueError, OverflowError):  # lists of different lengths
        values = np.zeros(1, object)
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise _refused("whole numbers 0..255 in lists of equal length", "others")
    return values.astype(np.uint8)


def _written(model: Loaded, asked: InferRequest, classes: np.ndarray, as_binary: bool) -> Response:
    tensor = Tensor(name="classes", shape=list(classes.shape), datatype="UINT8")
    if as_binary:
        tensor.parameters = {"binary_data_size": classes.nbytes}
    else:
        tensor.data = classes.ravel().tolist()
    answer = InferResponse(model_name=model.name, model_version=__version__, id=asked.id, outputs=[tensor])
    text = answer.model_dump_json(exclude_none=True).encode()
    if not as_binary:
        return Response(text, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return Response(text + classes.tobytes(), headers=headers, media_type="application/octet-stream")


def _refused(expected: str, got: str) -> RefusalError:
    do = "see the Open Inference Protocol, version 2"
    return RefusalError(HTTPStatus.BAD_REQUEST, "wrong_inference_request", expected, got, do)


def _schema() -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": "image"},
            "datatype": {"const": "UINT8"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 4, "maxItems": 4},
            "data": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
        },
    }
    inputs = {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}
    return {"type": "object", "required": ["inputs"], "properties": {"id": {"type": "string"}, "inputs": inputs}}
