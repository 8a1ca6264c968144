"""A prediction as shapes: outlines in pixels, GeoJSON, or run lengths.

Source:
    RFC 7946 for GeoJSON; its coordinates are pixels here, x to the right and y down. Run lengths: the uncompressed form
    of COCO, column by column, beginning with pixels outside the class.
"""

from http import HTTPStatus
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from segnet.data.class_files import IdsOut, written_ids
from segnet.data.exporters.outlines import Outline, trace
from segnet.data.sample import Image8
from segnet.inference.prediction import Prediction
from segnet.labels import VOID
from segnet.serve.refusal import RefusalError


class Polygon(BaseModel):
    """A connected component: its outline, holes included."""

    id: int = Field(description="of the class, as `ids` asks for")
    name: str
    area_px: int
    points: list[tuple[int, int]] = Field(description="(x, y) along the edges of its pixels")


class Polygons(BaseModel):
    """The answer `polygons`."""

    width: int
    height: int
    polygons: list[Polygon]


class RunLengths(BaseModel):
    """Pixels outside and inside a mask in turns, column by column."""

    size: tuple[int, int] = Field(description="height, width")
    counts: list[int]


class Mask(BaseModel):
    """The pixels of one class."""

    id: int = Field(description="of the class, as `ids` asks for")
    name: str
    rle: RunLengths


class Masks(BaseModel):
    """The answer `rle`."""

    width: int
    height: int
    masks: list[Mask]


MOST_EDGES = 300_000
"""Pixel edges between classes: tracing takes some microseconds for each, and holds the interpreter meanwhile."""


def polygons(prediction: Prediction, ids: IdsOut) -> dict[str, Any]:
    """Outlines of all connected components, largest first; drawn one over the other they give the classes.

    Raises:
        RefusalError: 422, the prediction is too ragged to be traced.
    """
    return {**_size(prediction.classes), "polygons": [_record(prediction, each, ids) for each in _outlines(prediction)]}


def geojson(prediction: Prediction, ids: IdsOut) -> dict[str, Any]:
    """The outlines as a FeatureCollection; `order` says in which order they are drawn.

    Raises:
        RefusalError: as `polygons`.
    """
    features = []
    for order, outline in enumerate(_outlines(prediction)):
        record = _record(prediction, outline, ids)
        ring = [*record.pop("points"), list(outline.corners[0])]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": record | {"order": order}})
    return {"type": "FeatureCollection", "features": features, "properties": _size(prediction.classes)}


def run_lengths(prediction: Prediction, ids: IdsOut) -> dict[str, Any]:
    """The mask of each class that is present, as `{"size": [height, width], "counts": [...]}`."""
    classes, names = prediction.classes, prediction.label_set.names
    numbers = written_ids(prediction.label_set, ids)
    present = [int(class_id) for class_id in np.unique(classes) if class_id != VOID]
    masks = [
        {
            "id": numbers[class_id],
            "name": names[class_id],
            "rle": {"size": list(classes.shape), "counts": _counts(classes == class_id)},
        }
        for class_id in present
    ]
    return {**_size(classes), "masks": masks}


def _outlines(prediction: Prediction) -> list[Outline]:
    classes = prediction.classes
    edges = int((classes[1:] != classes[:-1]).sum() + (classes[:, 1:] != classes[:, :-1]).sum())
    if edges > MOST_EDGES:
        expected, got = f"a prediction of at most {MOST_EDGES:,} pixel edges between classes", f"one of {edges:,}"
        do = "use answer=rle or answer=classes, or scale the image down"
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "too_ragged", expected, got, do)
    return [outline for outline in trace(classes) if outline.class_id != VOID]


def _record(prediction: Prediction, outline: Outline, ids: IdsOut) -> dict[str, Any]:
    return {
        "id": written_ids(prediction.label_set, ids)[outline.class_id],
        "name": prediction.label_set.names[outline.class_id],
        "area_px": outline.area_px,
        "points": [list(corner) for corner in outline.corners],
    }


def _counts(mask: np.ndarray) -> list[int]:
    values = mask.ravel(order="F")
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    counts: list[int] = np.diff([0, *changes, values.size]).tolist()
    return [0, *counts] if values[0] else counts


def _size(classes: Image8) -> dict[str, int]:
    return {"width": classes.shape[1], "height": classes.shape[0]}
