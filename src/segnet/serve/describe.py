"""What OpenAPI says of POST /v1/segment beyond its types: bodies, answers and examples."""

from typing import Any

from segnet.serve.answers import NPY
from segnet.serve.refusal import Refused
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

SEGMENT_TEXT = f"""The classes of an image, pixel by pixel.

    curl -F {FIELD}=@street.jpg 'http://127.0.0.1:8000/v1/segment'
    curl -F {FIELD}=@street.jpg 'http://127.0.0.1:8000/v1/segment?answer=overlay' -o overlay.png
    curl -H 'Content-Type: image/jpeg' -H 'Accept: image/png' --data-binary @street.jpg \\
         'http://127.0.0.1:8000/v1/segment' -o classes.png

The answer is a JSON summary, unless the query or `Accept` asks for another: an index PNG (class ids with a palette),
an overlay PNG, or probabilities, float16 (K, H, W) in NumPy's format. Nothing is stored."""

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
        "description": "The answer that was asked for.",
        "content": {
            "application/json": {"example": _EXAMPLE},
            "image/png": {"schema": _BYTES},
            NPY: {"schema": _BYTES},
        },
    },
    400: {"model": Refused, "description": "No image, a broken one, or a form without the field."},
    404: {"model": Refused, "description": "No model of that name."},
    406: {"model": Refused, "description": "No such form of answer."},
    408: {"model": Refused, "description": "The body came too slowly."},
    413: {"model": Refused, "description": "Too many bytes or pixels."},
    415: {"model": Refused, "description": "Another content type."},
    422: {"model": Refused, "description": "A parameter outside its range, or parameters that do not fit."},
    429: {"model": Refused, "description": "All places are taken; `Retry-After` says when to come again."},
    500: {"model": Refused, "description": "The model failed."},
    503: {"model": Refused, "description": "The model did not answer in time; `Retry-After` as above."},
}
