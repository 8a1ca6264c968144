"""Records of an export: the request, what the target wrote, and the comparison with PyTorch."""

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
    """One model to export to one target.

    Attributes:
        model: a model of `MODELS` in eval mode; the export is compared with it.
        card: the card of its weights.
        size_px: (height, width) of the images; None for a dynamic size.
        answer: `logits`, float32 (1, K, H, W); or `classes`, class ids (1, H, W).
        quantised: int8 file that `segnet quantise` made from the same weights; None writes float32.
    """

    model: nn.Module
    card: WeightsCard
    size_px: tuple[int, int] | None
    answer: Answer
    quantised: Path | None = None

    def metadata(self) -> dict[str, str]:
        """Returns the metadata to store in the file; lists and dictionaries are JSON."""
        labels = self.card.label_set.to_dict()
        size = "HxW" if self.size_px is None else f"{self.size_px[0]}x{self.size_px[1]}"
        channels = self.card.in_channels
        kind = "RGB" if channels == 3 else f"{channels} channels"
        pixels = f"{kind} in [0, 1], float32" if self.quantised is None else f"{kind}, uint8"
        outputs = {"logits": "float32 (1, K, H, W)", "classes": "class ids (1, H, W)"}
        return {
            "segnet.model": self.card.model,
            "segnet.input": f"{pixels} (1, {channels}, H, W), {size}; normalisation is part of the model",
            "segnet.answer": f"{self.answer}, {outputs[self.answer]}",
            "segnet.label_set": str(labels["name"]),
            "segnet.class_names": json.dumps(labels["names"]),
            "segnet.class_colours": json.dumps(labels["colours"]),
            "segnet.scores": json.dumps(self.card.scores),
            "segnet.trained_on": self.card.trained_on,
            "segnet.licence": self.card.licence,
            "segnet.version": self.card.version,
            **self._preparation(),
        }

    def _preparation(self) -> dict[str, str]:
        """What the caller of the runtime has to do with an image first, as training did, if anything."""
        card = self.card
        done = {"longest_side_px": card.longest_side_px, "value_range": card.value_range, "bands": card.bands or None}
        return {f"segnet.{name}": json.dumps(value) for name, value in done.items() if value is not None}


class Written(NamedTuple):
    """The file that a target wrote.

    Attributes:
        runtime: name of the runtime.
        version: of that runtime.
        operators: number of uses of each operator in the file.
        run: runs the loaded file: float32 (1, C, H, W) in [0, 1] -> output. None where the runtime does not
            exist for this platform.
    """

    runtime: str
    version: str
    operators: dict[str, int]
    run: Run | None


@dataclass(frozen=True)
class Difference:
    """Differences between an exported model and PyTorch on one image.

    Attributes:
        image: name and size of the image.
        max_logit: largest absolute difference of a logit; None where the export returns class ids.
        mean_logit: mean absolute difference.
        mean_size: mean absolute logit of PyTorch.
        classes_changed: fraction of pixels whose class differs, 0..1.
    """

    image: str
    max_logit: float | None
    mean_logit: float | None
    mean_size: float
    classes_changed: float


@dataclass(frozen=True)
class Exported:
    """An exported file; where its runtime exists, it was run and agrees with PyTorch.

    Attributes:
        path: of the file.
        target: a key of `TARGETS`.
        runtime: name of the runtime that ran it.
        version: of that runtime.
        operators: number of uses of each operator in it.
        differences: from PyTorch, one per image; empty where it could not be run.
        num_bytes: of the file and the files that belong to it.
        run: runs the loaded file; None where it cannot run here.
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
