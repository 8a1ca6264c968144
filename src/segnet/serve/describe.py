"""What OpenAPI says beyond the types: bodies, answers and examples of POST /v1/segment, problems everywhere."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from segnet.serve.answers import GEOJSON, NPY
from segnet.serve.problem import MEDIA_TYPE, Problem
from segnet.serve.upload import FIELD, FORM_TYPE, RAW_TYPES

_BYTES = {"type": "string", "format": "binary"}

BODY: dict[str, Any] = {
    "required": True,
    "description": "The image: its own bytes, or a form with the image in one field. File names are not used.",
    "content": {
        FORM_TYPE: {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BYTES}}},
        **{media_type: {"schema": _BYTES} for media_type in RAW_TYPES},
    },
}

BATCH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        FORM_TYPE: {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "array", "items": _BYTES, "minItems": 1}},
            }
        }
    },
}

SEGMENT_TEXT = f"""The classes of an image, pixel by pixel.

    curl -F {FIELD}=@street.jpg 'http://127.0.0.1:8000/v1/segment'
    curl -F {FIELD}=@street.jpg 'http://127.0.0.1:8000/v1/segment?answer=overlay' -o overlay.png
    curl -H 'Content-Type: image/jpeg' -H 'Accept: image/png' --data-binary @street.jpg \\
         'http://127.0.0.1:8000/v1/segment' -o classes.png

The answer is a JSON summary, unless the query or `Accept` names another form: an index PNG (class ids with a palette),
an overlay PNG, probabilities, float16 (K, H, W) in NumPy's format, or shapes: `polygons` and `geojson` with points in
pixels, largest shape first, each drawn over those before; `rle` with one mask for each class, as COCO writes them.
Classes have the ids of the label files that the model was trained on, or 0 to K-1 (`ids=classes`).
Nothing is stored."""

_EXAMPLE = {
    "model": "segnet-basic-camvid",
    "label_set": "camvid-11",
    "backend": "eager, cpu, bfloat16",
    "width": 480,
    "height": 360,
    "classes": [
        {"id": 3, "name": "road", "colour": [128, 64, 128], "share": 0.62},
        {"id": 0, "name": "sky", "colour": [128, 128, 128], "share": 0.38},
    ],
    "waited_ms": 0.2,
    "model_ms": 214.0,
    "batch": 1,
    "maps": {},
}

SEGMENT_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer in the chosen form.",
        "content": {
            "application/json": {"example": _EXAMPLE},
            "image/png": {"schema": _BYTES},
            NPY: {"schema": _BYTES},
            GEOJSON: {"schema": {"type": "object"}},
        },
    },
    400: {"model": Problem, "description": "No image, a broken or slow one, or a form without the field."},
    404: {"model": Problem, "description": "No model of that name."},
    406: {"model": Problem, "description": "No such form of answer."},
    408: {"model": Problem, "description": "The body came too slowly."},
    413: {
        "model": Problem,
        "description": "Too many bytes, pixels, scans or chunks, too long a side, or too many samples for it.",
    },
    415: {"model": Problem, "description": "Another content type."},
    422: {
        "model": Problem,
        "description": "An unknown parameter, one outside its range, or parameters that do not fit.",
    },
    429: {
        "model": Problem,
        "description": "Too many images or uploads, of this client or of all; `Retry-After` says when to try again.",
    },
    500: {"model": Problem, "description": "The model failed."},
    503: {
        "model": Problem,
        "description": "No answer in time, models still loading, or a service shutting down; `Retry-After` as above.",
    },
}


def describe_problems(app: FastAPI, *, needs_key: bool = False) -> None:
    """Describes every answer of 4xx and 5xx as a problem document, in its own media type.

    Args:
        app: described so.
        needs_key: whether /v1 and /v2 answer 401 without an API key.
    """

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
            for name, path in schema["paths"].items():
                for operation in path.values():
                    if needs_key and name.startswith(("/v1", "/v2")):
                        operation["responses"]["401"] = {"description": "No API key, or an unknown one."}
                    operation["responses"].setdefault("422", {"description": "An unknown or wrong parameter."})
                    for status, response in operation["responses"].items():
                        if status >= "400":
                            response["content"] = {MEDIA_TYPE: reference}
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
