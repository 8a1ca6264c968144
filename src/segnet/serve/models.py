"""The models that the service holds, by the names under which requests ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import numpy as np

from segnet.config import DeviceName, PrecisionName
from segnet.data.reading.listing import output_stems
from segnet.errors import ConfigError, nearest
from segnet.inference.predictor import Predictor
from segnet.inference.uncertainty import has_dropout
from segnet.runtime.backend import BackendName
from segnet.runtime.quantised import is_quantised
from segnet.serve.refusal import RefusalError
from segnet.weights.file import WEIGHTS, find_weights


@dataclass(frozen=True)
class Loaded:
    """One model, ready.

    Attributes:
        name: in requests.
        weights: name or path that it was loaded from.
        predictor: runs it.
        bayesian: whether it has dropout to sample.
        quantised: whether it is an int8 file, which cannot be exported to the browser.
    """

    name: str
    weights: str
    predictor: Predictor
    bayesian: bool
    quantised: bool

    def longest_side_px(self, requested: int | None) -> int:
        """The longest side at which the model sees an image: as requested, or that of its weights; 0 for any."""
        return (self.predictor.longest_side_px or 0) if requested is None else requested


def load_models(
    weights: Sequence[str],
    *,
    backend: BackendName = "auto",
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
) -> dict[str, Loaded]:
    """Loads every model and runs it once, so that the first request does not wait for it.

    Args:
        weights: names of weights that ship, or paths; a path is requested by its stem, or by more of the path where
            stems are equal.
        backend: as for `Predictor`, as are the following.
        device: where they run.
        precision: of the convolutions.

    Returns:
        Models by name, in order; requests that name none get the first.

    Raises:
        ConfigError: no weights, or one given twice; further as `Predictor`.
        WeightsError: as `Predictor`.
    """
    if not weights or len(set(weights)) < len(weights):
        raise ConfigError(f"serve: expected weights, each once, got {', '.join(weights) or 'none'}")
    stems = output_stems([Path(w) for w in weights if w not in WEIGHTS])
    models = {}
    for each in weights:
        name = each if each in WEIGHTS else stems[Path(each)]
        if name in models:
            raise ConfigError(f"serve: two weights would be called '{name}'; rename the file {each}")
        quantised = is_quantised(find_weights(each))
        predictor = Predictor(each, backend=backend, device=device, precision=precision)
        predictor(np.zeros((32, 32, 3), np.uint8), confidence=True)
        bayesian = not quantised and has_dropout(predictor.model)
        models[name] = Loaded(name, each, predictor, bayesian, quantised)
    return models


def choose_model(models: dict[str, Loaded], name: str | None) -> Loaded:
    """The model that a request asks for, or the first.

    Raises:
        RefusalError: 404, unknown name.
    """
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise RefusalError(
            HTTPStatus.NOT_FOUND,
            "unknown_model",
            f"one of: {', '.join(models)}",
            f"'{name[:80]}'",
            f"{nearest(name[:80], models)} GET /v1/models lists them",
        )
    return models[name]
