"""Searches CRF parameters on labelled images: a coarse grid, then finer steps around the best.

The model's probabilities are computed once per image. Filters are built once per image and widths, and used for all
weights tried with them. They are freed before the next widths, so memory holds one lattice per thread.

    round 1    all of `COARSE_GRID`, on a quarter of the images
    round 2    from the best of round 1, each parameter one step up and down, on all images
    round 3    the same with half the step; and so on

Source:
    Chen et al., DeepLab (ICLR 2015), section 4.1: smoothness fixed, the appearance kernel's weight and widths searched
    on 100 images, coarse to fine, ten iterations of mean field.

Chosen:
    The grid is geometric, as weights and widths act by ratio, and includes weights that hardly change the model's
    prediction: strong ones erase thin classes first. The smoothness weight is searched too; its width stays at 3 px as
    in DeepLab.
    Rounds after the first move one parameter at a time, since the whole grid would take hours.
"""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import nn

from segnet.crf.dense_crf import CRFParameters, DenseCRF
from segnet.data.sample import Dataset, Image8, Sample
from segnet.data.transforms import image_to_tensor
from segnet.device import DeviceSpec
from segnet.errors import ConfigError
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores

Measure = Literal["boundary_f1", "mean_iou"]
COARSE_GRID: dict[str, tuple[float, ...]] = {
    "smoothness_weight": (0.5, 3.0),
    "appearance_weight": (1.0, 3.0, 9.0),
    "appearance_px": (25.0, 75.0),
    "appearance_rgb": (5.0, 10.0, 20.0),
}
COARSE_SHARE = 4
FIRST_STEP = 1.5  # a factor; each later round uses its square root


@dataclass(frozen=True)
class ModelOutput:
    """An image and the model's probabilities for it, without a CRF.

    Attributes:
        sample: image and target.
        probability: of each class, float16 (K, H, W).
    """

    sample: Sample
    probability: NDArray[np.float16]

    def scored(self, probability: NDArray[np.floating]) -> tuple[str, Image8, Image8]:
        """Name, prediction by a probability (K, H, W), and target: what `Scores.of` counts."""
        return self.sample.name, probability.argmax(0).astype(np.uint8), self.sample.target


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        measure: the score that was maximised.
        alone: scores of the model without a CRF, on all images.
        ranked: parameters and their scores on all images, best first.
    """

    measure: Measure
    alone: Scores
    ranked: tuple[tuple[CRFParameters, Scores], ...]

    @property
    def best(self) -> CRFParameters:
        """The parameters with the highest measure."""
        return self.ranked[0][0]

    @property
    def gain(self) -> float:
        """Difference of the measure between the best parameters and no CRF; negative if every CRF tried lowers it."""
        return _value(self.ranked[0][1], self.measure) - _value(self.alone, self.measure)


@torch.inference_mode()
def model_outputs(model: nn.Module, dataset: Dataset, count: int, device_spec: DeviceSpec) -> list[ModelOutput]:
    """The model's probabilities for images evenly spread over a dataset.

    Args:
        model: put in evaluation mode, and moved to the device.
        dataset: labelled.
        count: number of images, at least 1; all images of a smaller dataset are used.
        device_spec: device and precision.
    """
    device_spec.ready(model.eval())
    outputs = []
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int).tolist():
        sample = dataset[index]
        image = image_to_tensor(sample.image)[None].to(device_spec.device, memory_format=torch.channels_last)
        with device_spec.autocast():
            logits = model(image)
        outputs.append(ModelOutput(sample, logits[0].float().softmax(0).half().cpu().numpy()))
    return outputs


def search_crf(
    outputs: Sequence[ModelOutput],
    label_set: LabelSet,
    measure: Measure = "boundary_f1",
    *,
    rounds: int = 3,
    iterations: int = 5,
    workers: int = 1,
    console: Console | None = None,
) -> SearchResult:
    """Searches coarse to fine; the result does not depend on the number of threads.

    Args:
        outputs: at least one image with labels.
        label_set: of the targets.
        measure: the score to maximise.
        rounds: at least 1; the first is the coarse grid.
        iterations: of mean field.
        workers: number of threads, each with one image.
        console: shows progress; None shows nothing.

    Raises:
        ConfigError: no image, no round, or labels for which the measure is undefined.
    """
    if not outputs or rounds < 1:
        raise ConfigError(f"the CRF search needs images and rounds, got {len(outputs)} and {rounds}")
    alone = Scores.of(label_set, (output.scored(output.probability) for output in outputs))
    if math.isnan(_value(alone, measure)):
        raise ConfigError(f"{measure} is undefined on these {len(outputs)} images; choose others, with labels")

    def scores_of(candidates: Iterable[CRFParameters], share: int, what: str) -> dict[CRFParameters, Scores]:
        return _scores(list(candidates), outputs[::share], label_set, workers, what, console or Console(quiet=True))

    def best(scored: dict[CRFParameters, Scores]) -> CRFParameters:
        return max(scored, key=lambda parameters: _value(scored[parameters], measure))

    grid = [
        CRFParameters(**dict(zip(COARSE_GRID, values, strict=True)), iterations=iterations)
        for values in product(*COARSE_GRID.values())
    ]
    share = COARSE_SHARE if len(outputs) >= COARSE_SHARE else 1
    found = scores_of([best(scores_of(grid, share, "coarse grid"))], 1, "best of the grid")
    for number in range(2, rounds + 1):
        factor = FIRST_STEP ** (0.5 ** (number - 2))
        near = [p for p in _neighbours(best(found), factor) if p not in found]
        found |= scores_of(near, 1, f"steps of x{factor:.2f}")
    ranked = sorted(found.items(), key=lambda item: -_value(item[1], measure))
    return SearchResult(measure, alone, tuple(ranked))


def _neighbours(centre: CRFParameters, factor: float) -> list[CRFParameters]:
    """Moves each searched parameter one step down and up, the others unchanged; rounded to three digits."""
    changes: list[dict[str, Any]] = [
        {name: float(f"{getattr(centre, name) * step:.3g}")} for name in COARSE_GRID for step in (1 / factor, factor)
    ]
    return [replace(centre, **change) for change in changes]


def _scores(
    candidates: Sequence[CRFParameters],
    outputs: Sequence[ModelOutput],
    label_set: LabelSet,
    workers: int,
    what: str,
    console: Console,
) -> dict[CRFParameters, Scores]:
    """Scores every candidate on every image, in threads: scipy's sparse products release the GIL."""
    by_widths = [list(group) for _, group in groupby(sorted(candidates, key=_widths), key=_widths)]

    def score_image(output: ModelOutput) -> dict[CRFParameters, Scores]:
        scored = {}
        for group in by_widths:
            crf = DenseCRF(output.sample.image, group[0])
            for parameters in group:
                refined = crf.reweighted(parameters)(output.probability)
                scored[parameters] = Scores.of(label_set, [output.scored(refined)])
        return scored

    total = {parameters: Scores(label_set) for parameters in candidates}
    title = f"{what}: {len(candidates)} on {len(outputs)} images"
    pool = ThreadPoolExecutor(workers)
    try:
        results = pool.map(score_image, outputs)
        for scored in track(results, title, total=len(outputs), console=console, transient=True):
            for parameters, scores in scored.items():
                total[parameters].merge(scores)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the images in progress, not for all
    return total


def _widths(parameters: CRFParameters) -> tuple[float, float, float]:
    return parameters.widths


def _value(scores: Scores, measure: Measure) -> float:
    return scores.boundary_f1 if measure == "boundary_f1" else scores.mean_iou
