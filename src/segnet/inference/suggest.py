"""Which unlabelled images to label next: those the model is unsure of, and that are unlike each other.

For each image: the entropy of its probabilities, how much its class borders change when it is mirrored, and features
of the model. Images are chosen one by one; the next is the one whose uncertainty, times its distance from all that
are labelled or chosen, is the largest.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from segnet.data.reading.images import PIXEL_LIMIT, read_image
from segnet.data.transforms import image_to_tensor
from segnet.errors import ConfigError, DataError
from segnet.inference.predictor import Predictor
from segnet.io.files import whole_file
from segnet.metrics.boundary import boundary_f1
from segnet.nn.logits import logits_of

LONGEST_SIDE_PX = 480
_NEAR_PX = 2  # by which a border may move without being another one


@dataclass(frozen=True)
class Judged:
    """What the model makes of one image.

    Attributes:
        path: of the file.
        entropy: of the probabilities, mean over pixels, as a share of ln K: 0 sure, 1 no idea.
        disagreement: 1 - boundary F1 between the classes and those of the mirrored image, mirrored back; 0..1.
        features: mean and deviation of what the classifier sees, float32 (D,).
    """

    path: Path
    entropy: float
    disagreement: float
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Suggestion:
    """An image to label, and why.

    Attributes:
        rank: 1 for the first.
        image: its path.
        score: uncertainty times distance; of this choice, comparable within the list only.
        entropy: as in `Judged`, as is `disagreement`.
        distance: of its features from the nearest image that is labelled or was chosen before; the median over all
            images is 1. NaN for the first where nothing is labelled.
        nearest: that image; empty for the first.
        why: in words.
    """

    rank: int
    image: str
    score: float
    entropy: float
    disagreement: float
    distance: float
    nearest: str
    why: str


@torch.inference_mode()
def judge(
    predictor: Predictor,
    paths: Iterable[Path],
    longest_side_px: int = LONGEST_SIDE_PX,
    on_done: Callable[[], None] = lambda: None,
) -> tuple[list[Judged], list[DataError]]:
    """Runs the model on every image and on its mirror image.

    Args:
        predictor: of weights whose model has a `classifier`, as all of this package have.
        paths: image files.
        longest_side_px: larger images are resized to it.
        on_done: is called after each file.

    Returns:
        The images, and the errors of those that cannot be read.

    Raises:
        ConfigError: a quantised file, or a model without a `classifier`.
    """
    model = predictor.model
    classifier = getattr(model, "classifier", None)
    if not isinstance(classifier, nn.Module):
        raise ConfigError(f"{type(model).__name__} has no module `classifier`, whose input are the features to compare")
    seen: list[Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    judged, broken = [], []
    try:
        for path in paths:
            try:
                image = read_image(path, PIXEL_LIMIT, predictor.reading)
            except DataError as error:
                broken.append(error)
            else:
                batch = _limited(image_to_tensor(image)[None], longest_side_px).to(predictor.device_spec.device)
                seen.clear()
                probability = _probability(predictor, model, batch)  # (1, K, H, W)
                features = seen[0]
                mirrored = _probability(predictor, model, batch.flip(3)).flip(3)
                judged.append(_judged(path, probability, mirrored, features))
            on_done()
    finally:
        hook.remove()
    return judged, broken


def suggest(judged: Sequence[Judged], count: int, labelled: Sequence[Judged] = ()) -> list[Suggestion]:
    """Chooses the images to label next.

    Args:
        judged: the candidates.
        count: how many, at most.
        labelled: images that have labels: what resembles them is worth less.

    Raises:
        ConfigError: a count below 1, or no candidate.

    Source:
        The product of uncertainty and distance, chosen greedily, is the idea of BADGE (Ash et al., 2020) with k-centre
        (Sener, Savarese, 2018).
    """
    if count < 1 or not judged:
        raise ConfigError(f"{count} suggestions of {len(judged)} images; expected at least 1 of each")
    everything = [*judged, *labelled]
    features = np.stack([one.features for one in everything]).astype(np.float64)
    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    unsure = [_ranks([one.entropy for one in judged]), _ranks([one.disagreement for one in judged])]
    informative = (unsure[0] + unsure[1]) / 2  # 0..1
    usual = _usual_distance(features)
    nearest = np.full(len(judged), -1)
    distance = np.full(len(judged), np.nan)
    for place in range(len(judged), len(everything)):
        _closer(distance, nearest, features, place, usual)
    chosen: list[Suggestion] = []
    left = np.ones(len(judged), bool)
    for rank in range(1, min(count, len(judged)) + 1):
        score = informative * np.where(np.isnan(distance), 1.0, distance)
        place = int(np.where(left, score, -np.inf).argmax())
        near = everything[nearest[place]].path.name if nearest[place] >= 0 else ""
        one, far = judged[place], float(distance[place])
        why = _why(one, (unsure[0][place], unsure[1][place]), far, near)
        chosen.append(
            Suggestion(rank, str(one.path), float(score[place]), one.entropy, one.disagreement, far, near, why)
        )
        left[place] = False
        _closer(distance, nearest, features, place, usual)
    return chosen


def write_suggestions(path: Path, suggestions: Sequence[Suggestion]) -> None:
    """Writes the list as `.csv` or `.json`.

    Raises:
        ConfigError: another suffix.
        DataError: the file cannot be written.
    """
    records = [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(s).items()}
        for s in suggestions
    ]
    if path.suffix == ".json":
        text = json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    elif path.suffix == ".csv":
        lines = io.StringIO()
        table = csv.DictWriter(lines, list(records[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(records)
        text = lines.getvalue()
    else:
        raise ConfigError(f"{path}: expected a file that ends in .csv or .json")
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _probability(predictor: Predictor, model: nn.Module, batch: Tensor) -> Tensor:
    with predictor.device_spec.autocast():
        return logits_of(model, batch, predictor.label_set.num_classes).float().softmax(1)


def _judged(path: Path, probability: Tensor, mirrored: Tensor, features: Tensor) -> Judged:
    num_classes = probability.shape[1]
    entropy = -(probability * probability.clamp_min(1e-12).log()).sum(1).mean() / math.log(max(num_classes, 2))
    classes, others = (p.argmax(1)[0].cpu().numpy().astype(np.uint8) for p in (probability, mirrored))
    agreement = boundary_f1(classes, others, num_classes, _NEAR_PX / math.hypot(*classes.shape))
    features = features[0].float().flatten(1)  # (D / 2, h w)
    pooled = torch.cat((features.mean(1), features.std(1, correction=0))).cpu().numpy()
    disagreement = 0.0 if math.isnan(agreement) else 1 - agreement  # NaN: one class in both, so no border
    return Judged(path, float(entropy), disagreement, pooled)


def _limited(image: Tensor, longest_side_px: int) -> Tensor:
    factor = longest_side_px / max(image.shape[2:])
    if factor >= 1:
        return image
    size = [max(1, round(side * factor)) for side in image.shape[2:]]
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Share of the images whose value is not larger: (0, 1]."""
    ordered = np.sort(np.array(values))
    return np.searchsorted(ordered, np.array(values), side="right") / len(values)


def _usual_distance(features: NDArray[np.float64]) -> float:
    """Median distance of two images, of at most 300."""
    few = features[:: max(len(features) // 300, 1)]
    pairs = np.sqrt(np.maximum(((few[:, None] - few[None]) ** 2).sum(2), 0))[np.triu_indices(len(few), 1)]
    return float(np.median(pairs)) if len(pairs) and np.median(pairs) > 0 else 1.0


def _closer(
    distance: NDArray[np.float64],
    nearest: NDArray[np.int64],
    features: NDArray[np.float64],
    place: int,
    usual: float,
) -> None:
    """Takes one more image into account: shortens `distance`, in place, where it is nearer than all before."""
    new = np.sqrt(((features[: len(distance)] - features[place]) ** 2).sum(1)) / usual
    is_nearer = np.isnan(distance) | (new < distance)
    distance[is_nearer], nearest[is_nearer] = new[is_nearer], place


def _why(one: Judged, ranks: tuple[float, float], distance: float, near: str) -> str:
    words = [
        f"entropy {one.entropy:.2f}, not less than in {100 * ranks[0]:.0f} % of the images",
        f"borders change by {one.disagreement:.2f} when mirrored, not less than in {100 * ranks[1]:.0f} %",
    ]
    if near:
        how = "unlike" if distance >= 0.75 else "somewhat like" if distance >= 0.4 else "like"
        words.append(f"{how} {near}, the nearest that is labelled or chosen ({distance:.2f} of the usual distance)")
    return "; ".join(words)
