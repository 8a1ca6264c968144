"""A prediction -> the requested form: JSON summary, index PNG, overlay PNG, or probabilities."""

import base64
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import Literal, get_args

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, Field

from segnet import palette
from segnet.data.class_files import IdsOut, class_image, png_info, written_ids
from segnet.inference.prediction import Prediction
from segnet.serve.accept import preferred
from segnet.serve.models import Loaded
from segnet.serve.refusal import RefusalError
from segnet.serve.workers import Answered

AnswerName = Literal["summary", "classes", "overlay", "probabilities", "polygons", "geojson", "rle"]
MapName = Literal["classes", "confidence", "entropy", "variance", "mutual_information"]
NPY = "application/x-npy"
GEOJSON = "application/geo+json"
_OFFERED: dict[str, AnswerName] = {
    "application/json": "summary",
    "image/png": "classes",
    NPY: "probabilities",
    GEOJSON: "geojson",
}


class ClassShare(BaseModel):
    """One class of an image."""

    id: int = Field(ge=0, description="as `ids` asks for", examples=[3])
    name: str = Field(examples=["road"])
    colour: tuple[int, int, int] = Field(examples=[(128, 64, 128)])
    share: float = Field(ge=0, le=1, description="of the image's pixels", examples=[0.31])


class Summary(BaseModel):
    """The classes of an image, and how they were computed."""

    model: str = Field(examples=["segnet-basic-camvid"])
    label_set: str = Field(examples=["camvid-11"])
    backend: str = Field(description="runtime, device, precision", examples=["eager, cpu, bfloat16"])
    width: int = Field(ge=1, examples=[480])
    height: int = Field(ge=1, examples=[360])
    classes: list[ClassShare] = Field(description="those in the image, largest first")
    waited_ms: float = Field(ge=0, description="until its batch began", examples=[0.2])
    model_ms: float = Field(ge=0, description="of its batch in the model", examples=[214.0])
    batch: int = Field(ge=1, description="images in that batch", examples=[1])
    maps: dict[MapName, str] = Field(
        default_factory=dict,
        description="PNG in base64: `classes` has a palette, unless an id is above 255; the others are grey, white is "
        "the largest possible value (confidence 1, variance (K - 1) / K^2, entropy and mutual information ln K)",
    )


def answer_name(asked: AnswerName | None, accept: str) -> AnswerName:
    """The answer that a request asks for: by its query, or else by the type that `Accept` prefers.

    Raises:
        RefusalError: 406, none of those types.
    """
    if asked is not None:
        return asked
    if media_type := preferred(accept, tuple(_OFFERED)):
        return _OFFERED[media_type]
    expected = f"Accept: {', '.join(_OFFERED)}"
    do = "or leave it out and name the answer in the query, as in ?answer=overlay"
    raise RefusalError(HTTPStatus.NOT_ACCEPTABLE, "no_such_answer", expected, f"Accept: {accept[:80]}", do)


def summary(model: Loaded, answered: Answered, maps: Iterable[MapName], ids: IdsOut) -> Summary:
    """The JSON answer.

    Args:
        model: that predicted the image.
        answered: the prediction, with whatever `maps` needs.
        maps: to include as PNG.
        ids: the numbers of the classes, in the record and in the map of classes.
    """
    prediction = answered.prediction
    height, width = prediction.classes.shape
    names, colours = prediction.label_set.names, prediction.label_set.colours
    numbers = written_ids(prediction.label_set, ids)
    present = [(names.index(name), name, share) for name, share in prediction.shares().items()]
    return Summary(
        model=model.name,
        label_set=prediction.label_set.name,
        backend=str(model.predictor),
        width=width,
        height=height,
        classes=[ClassShare(id=numbers[i], name=name, colour=colours[i], share=share) for i, name, share in present],
        waited_ms=round(1000 * answered.waited_s, 1),
        model_ms=round(1000 * answered.model_s, 1),
        batch=answered.batch,
        maps={name: base64.b64encode(_map(prediction, name, ids)).decode() for name in maps},
    )


def classes_png(prediction: Prediction, ids: IdsOut) -> bytes:
    """Class ids as a PNG whose palette shows the class colours, and whose text names the classes (`class_files.py`)."""
    label_set = prediction.label_set
    return _png(class_image(prediction.classes, label_set, ids), png_info(label_set, ids))


def overlay_png(prediction: Prediction, opacity: float) -> bytes:
    """The image under its class colours, of its own size and without a legend."""
    coloured = palette.overlay(prediction.image, prediction.classes, prediction.label_set, opacity)
    return _png(Image.fromarray(coloured))


def probabilities_npy(prediction: Prediction) -> bytes:
    """Probabilities as a file of NumPy: float16 (K, H, W)."""
    assert prediction.probability is not None  # the options included them
    file = BytesIO()
    np.save(file, prediction.probability, allow_pickle=False)
    return file.getvalue()


def _map(prediction: Prediction, name: MapName, ids: IdsOut) -> bytes:
    if name == "classes":
        return classes_png(prediction, ids)
    return _png(Image.fromarray(prediction.grey_maps()[name.replace("_", "-")]))


def _png(image: Image.Image, info: PngInfo | None = None) -> bytes:
    file = BytesIO()
    image.save(
        file, format="PNG", pnginfo=info, compress_level=3
    )  # half the time of Pillow's own 6, some percent larger
    return file.getvalue()


UNCERTAIN_MAPS = tuple(name for name in get_args(MapName) if name not in ("classes", "confidence"))
