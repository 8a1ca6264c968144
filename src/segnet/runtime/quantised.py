"""Quantised models on disk: one safetensors file with an OpenVINO model and a card.

The file holds the two parts of the OpenVINO model as bytes, `xml` and `bin`. The card holds the card and sha256 of the
weights it was made from, how it was calibrated, and its scores next to those of the float32 model on the same images.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from segnet.errors import WeightsError
from segnet.io.files import sha256_of, whole_file
from segnet.runtime.backend import require
from segnet.weights.file import WeightsCard

_CARD = "segnet-int8"


@dataclass(frozen=True)
class QuantisedCard:
    """Description of a quantised file, stored inside it.

    Attributes:
        weights: card of the weights it was made from.
        weights_sha256: hash of that weights file.
        images: number of calibration images.
        kept_float: names of the convolutions that are not in int8.
        scores_before: scores of the float32 model by name, 0..1.
        scores_after: scores of this file on the same images.
        scored_images: number of those images.
    """

    weights: WeightsCard
    weights_sha256: str
    images: int
    kept_float: tuple[str, ...] = ()
    scores_before: dict[str, float] = field(default_factory=dict)
    scores_after: dict[str, float] = field(default_factory=dict)
    scored_images: int = 0


def save_quantised(path: Path, model: Any, card: QuantisedCard) -> None:
    """Writes an OpenVINO model and its card, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        # not beside `path`, where nobody would remove the two files of a process that was killed
        with tempfile.TemporaryDirectory(prefix="segnet-quantise-") as room:
            xml = Path(room) / "model.xml"
            require("openvino", "openvino").save_model(model, xml, compress_to_fp16=False)
            parts = (xml, xml.with_suffix(".bin"))
            tensors = {
                part.suffix[1:]: torch.frombuffer(bytearray(part.read_bytes()), dtype=torch.uint8) for part in parts
            }
        text = TypeAdapter(QuantisedCard).dump_json(card).decode()
        temporary.write_bytes(save(tensors, {_CARD: text}))


def is_quantised(path: Path) -> bool:
    """Returns whether `save_quantised` wrote the file."""
    try:
        with safe_open(path, framework="pt") as file:
            return _CARD in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_quantised(path: Path, weights: Path | None = None) -> tuple[dict[str, Tensor], QuantisedCard]:
    """Reads the bytes `xml` and `bin` of a quantised file, and its card.

    Args:
        path: the file.
        weights: weights file it must have been made from; None skips the check.

    Raises:
        WeightsError: the file is missing, damaged, not quantised, or made from other weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_CARD)
            tensors = {name: file.get_tensor(name) for name in ("xml", "bin")} if text else {}
    except (SafetensorError, OSError) as cause:
        raise WeightsError(f"{path} is not a complete quantised file ({cause}); run segnet quantise again") from None
    if text is None:
        raise WeightsError(
            f"{path} is not a quantised file; make one with segnet quantise --weights W --data DIR --out FILE"
        )
    try:
        card = TypeAdapter(QuantisedCard).validate_json(text)
    except ValidationError as cause:
        raise WeightsError(
            f"{path}: its card cannot be read ({cause.errors()[0]['msg']}); run segnet quantise again"
        ) from None
    if weights is not None and card.weights_sha256 != (found := sha256_of(weights)):
        raise WeightsError(
            f"{path} was quantised from other weights (sha256 {card.weights_sha256[:16]}...) than {weights} "
            f"({found[:16]}...); quantise those weights again"
        )
    return tensors, card
