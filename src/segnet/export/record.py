"""What is to be exported, what a target wrote, and what came of it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from segnet.runtime.graph import Answer
from segnet.weights.file import WeightsCard

Image = NDArray[np.float32]
Run = Callable[[Image], NDArray[np.generic]]


@dataclass(frozen=True)
class Request:
    """One model for one target.

    Attributes:
        model: a model of `MODELS` in eval mode; what an export is compared with.
        card: what its weights are.
        size_px: (height, width) of the images, or None for any.
        answer: `logits`, float32 (1, K, H, W); or `classes`, class ids (1, H, W).
        quantised: file of `segnet quantise` from the same weights, to write its int8 model; None writes float32.
    """

    model: nn.Module
    card: WeightsCard
    size_px: tuple[int, int] | None
    answer: Answer
    quantised: Path | None = None

    def metadata(self) -> dict[str, str]:
        """What a file should say of itself, by key; lists and numbers as JSON."""
        labels = self.card.label_set.to_dict()
        size = "HxW" if self.size_px is None else f"{self.size_px[0]}x{self.size_px[1]}"
        pixels = "RGB in [0, 1], float32" if self.quantised is None else "RGB, uint8"
        answers = {"logits": "float32 (1, K, H, W)", "classes": "class ids (1, H, W)"}
        return {
            "segnet.model": self.card.model,
            "segnet.input": f"{pixels} (1, 3, H, W), {size}; normalisation is part of the model",
            "segnet.answer": f"{self.answer}, {answers[self.answer]}",
            "segnet.label_set": str(labels["name"]),
            "segnet.class_names": json.dumps(labels["names"]),
            "segnet.class_colours": json.dumps(labels["colours"]),
            "segnet.scores": json.dumps(self.card.scores),
            "segnet.trained_on": self.card.trained_on,
            "segnet.licence": self.card.licence,
            "segnet.version": self.card.version,
        }


class Written(NamedTuple):
    """What a target says of the file it wrote.

    Attributes:
        runtime: name of the program that runs it.
        version: of that program.
        operators: how often each operator stands in the file.
        run: the file, loaded by that program: RGB float32 (1, 3, H, W) in [0, 1] -> answer. None where the program
            does not exist for this machine.
    """

    runtime: str
    version: str
    operators: dict[str, int]
    run: Run | None


@dataclass(frozen=True)
class Difference:
    """An export against PyTorch on one image.

    Attributes:
        image: what it was.
        max_logit: largest absolute difference of a logit; None where the export answers with class ids.
        mean_logit: mean absolute difference.
        mean_size: mean absolute logit, to compare with.
        classes_changed: share of pixels whose class differs, 0..1.
    """

    image: str
    max_logit: float | None
    mean_logit: float | None
    mean_size: float
    classes_changed: float


@dataclass(frozen=True)
class Exported:
    """A file that was written, and run and found equal where its runtime exists.

    Attributes:
        path: of the file.
        target: a key of `TARGETS`.
        runtime: name of the program that ran it.
        version: of that program.
        operators: how often each operator stands in it.
        differences: from PyTorch, one for each image; none where it could not be run.
        num_bytes: of the file and all that belongs to it.
        run: the file, loaded by its runtime; None where it could not be run.
    """

    path: Path
    target: str
    runtime: str
    version: str
    operators: dict[str, int]
    differences: tuple[Difference, ...]
    num_bytes: int
    run: Run | None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        kept = ("target", "runtime", "version", "operators", "num_bytes")
        record: dict[str, object] = {name: getattr(self, name) for name in kept}
        return record | {"file": self.path.name, "differences": [asdict(d) for d in self.differences]}
