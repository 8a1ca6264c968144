"""Learning curves of random (He) and tent initialisation of the decoder, over several seeds.

Both start from the same encoder and classifier, see the same images in the same order, and use the same learning
rates. Each curve is a cell of its own (`cells.py`), so an interrupted benchmark resumes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor, nn

from segnet.benchmark.paper_tables.cells import finished_or
from segnet.benchmark.paper_tables.prepared_data import Resized
from segnet.benchmark.paper_tables.tables import TableText
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.loader import TrainLoader
from segnet.data.sample import Dataset, Sample
from segnet.data.transforms import Augmentation
from segnet.device import DeviceSpec
from segnet.errors import ConfigError, DataError, nearest
from segnet.inference.evaluate import evaluate
from segnet.io.files import whole_file
from segnet.models import Initialisation, create_model
from segnet.nn.losses import cross_entropy
from segnet.training.schedules import lr_multiplier
from segnet.weights.vgg16 import find_vgg16, load_vgg16

INITIALISATIONS: tuple[Initialisation, ...] = ("he", "tent")
_COLOURS = {"he": "tab:blue", "tent": "tab:orange"}
_WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class Schedule:
    """How one model is trained here: short and small, with the optimiser of the recipes.

    Attributes:
        size_px: (height, width) that images are resized to; they are scored at this size.
        crop_px: (height, width) of the crops to train on.
        batch_size: N.
        steps: of the optimiser.
        scored_after: steps, in ascending order.
        lr: highest learning rate of AdamW; a half cosine lowers it to 0.
        encoder_lr_factor: the encoder learns at `lr` times this.
        root_of_weights: take the square root of the median-frequency weights.
        vgg16: the encoder starts from ImageNet weights.
    """

    size_px: tuple[int, int]
    crop_px: tuple[int, int]
    batch_size: int
    steps: int
    scored_after: tuple[int, ...]
    lr: float
    encoder_lr_factor: float = 1.0
    root_of_weights: bool = False
    vgg16: bool = False


SCHEDULES = {
    "segnet-basic": Schedule((90, 120), (90, 120), 2, 300, (50, 100, 200, 300), lr=3e-3),
    "segnet": Schedule(
        *((120, 160), (90, 120), 4, 160, (40, 80, 160)),
        lr=1e-3,
        encoder_lr_factor=0.2,
        root_of_weights=True,
        vgg16=True,
    ),
}


class Kept:
    """Every `step`-th sample of a dataset, kept in memory, because small images are read thousands of times.

    Args:
        dataset: what is read.
        step: 1 for all.
    """

    def __init__(self, dataset: Dataset, step: int = 1) -> None:
        self.label_set = dataset.label_set
        self._samples = [dataset[i] for i in range(0, len(dataset), step)]
        self.names = tuple(sample.name for sample in self._samples)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def learning_curves(
    model: str,
    splits: tuple[Dataset, Dataset],
    device_spec: DeviceSpec,
    out: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    vgg16: str = "",
    console: Console | None = None,
) -> list[dict[str, Any]]:
    """Trains one model with both initialisations and each seed; curves that exist already are read.

    Args:
        model: a key of `SCHEDULES`.
        splits: training split, and the split of which every third image is scored.
        device_spec: device and precision.
        out: folder of results.
        seeds: of weights and order.
        vgg16: ImageNet weights, as for `model.vgg16`; used by the models that start from them.
        console: prints each finished curve; None prints nothing.

    Returns:
        Records of `model`, `init`, `seed` and `scores`, as `learning_curve` gives them.

    Raises:
        ConfigError: unknown model, or a folder that holds curves of other settings.
        WeightsError: the VGG16 weights that the model starts from are missing.
        DataError: an image or a file of the results cannot be read or written.
    """
    if model not in SCHEDULES:
        raise ConfigError(f"unknown model '{model}'; {nearest(model, SCHEDULES)}")
    schedule, console = SCHEDULES[model], console or Console(quiet=True)
    weights = find_vgg16(vgg16) if schedule.vgg16 else None
    resized = [Resized({"": dataset}, schedule.size_px) for dataset in splits]
    train_set, val_set = Kept(resized[0]), Kept(resized[1], step=3)
    records = []
    for seed in seeds:
        for init in INITIALISATIONS:

            def compute(seed: int = seed, init: Initialisation = init) -> dict[str, Any]:
                return {"scores": learning_curve(model, init, seed, schedule, train_set, val_set, device_spec, weights)}

            settings = {"model": model, "init": init, "seed": seed, "device_spec": str(device_spec), **asdict(schedule)}
            folder = out / "cells" / "initialisation" / f"{model}-{init}-{seed}"
            scores = finished_or(folder, settings, compute)["scores"]
            records.append({"model": model, "init": init, "seed": seed, "scores": scores})
            last = scores[-1]
            console.print(f"{model}, {init}, seed {seed}: mean IoU {last['mean_iou']:.3f} after {last['step']} steps")
    return records


def learning_curve(
    model_name: str,
    init: Initialisation,
    seed: int,
    schedule: Schedule,
    train_set: Dataset,
    val_set: Dataset,
    device_spec: DeviceSpec,
    vgg16: Path | None = None,
) -> list[dict[str, float]]:
    """Trains one model and scores it in between.

    Args:
        model_name: a key of `MODELS`.
        init: as for `create_model`.
        seed: of weights, order and crops.
        schedule: size, steps and learning rates.
        train_set: training samples.
        val_set: samples to score.
        device_spec: device and precision.
        vgg16: file of the encoder's weights; None keeps the random weights.

    Returns:
        `step`, `mean_iou` and `global_accuracy` (0..1) after each of `schedule.scored_after`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_model(model_name, train_set.label_set.num_classes, init=init)
    if vgg16 is not None:
        load_vgg16(model, vgg16)
    device_spec.ready(model)
    optimiser = _optimiser(model, schedule)
    class_weights = median_frequency(count_frequencies(train_set)).to(device_spec.device)
    if schedule.root_of_weights:
        class_weights = class_weights.sqrt()
    augmentation = Augmentation(flip=True, crop_px=schedule.crop_px)
    loader = TrainLoader(train_set, augmentation, batch_size=schedule.batch_size, seed=seed)
    scores = []
    for step, batch in enumerate(loader.batches(0, schedule.steps)):
        model.train()
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * group["lr_factor"] * lr_multiplier("cosine", step, schedule.steps)
        image = batch.image.to(device_spec.device, memory_format=torch.channels_last)
        with device_spec.autocast():
            logits: Tensor = model(image)
        loss = cross_entropy(logits, batch.target.to(device_spec.device), class_weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step + 1 in schedule.scored_after:
            found = evaluate(model, val_set, device_spec, boundaries=False)
            shares = {"mean_iou": found.mean_iou, "global_accuracy": found.global_accuracy}
            scores.append({"step": step + 1, **{name: round(value, 5) for name, value in shares.items()}})
    return scores


def with_stored(records: Sequence[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """These curves, preceded by those of other models that an earlier call stored.

    Args:
        records: as `learning_curves` gives them.
        path: of `initialisation.json`, which may be missing.

    Raises:
        DataError: the file is broken.
    """
    if not path.exists():
        return list(records)
    try:
        stored = list(json.loads(path.read_text(encoding="utf-8"))["results"])
        others = [r for r in stored if r["model"] not in {record["model"] for record in records}]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path} is broken; delete it: its curves are rebuilt from {path.parent}/cells") from None
    return [*others, *records]


def _optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW; filters decay, biases and BN do not, as in `training/train.py`."""
    encoder = {id(p) for p in model.get_submodule("encoder").parameters()}
    groups = []
    for factor, inside in ((schedule.encoder_lr_factor, True), (1.0, False)):
        for decay, filters in ((_WEIGHT_DECAY, True), (0.0, False)):
            members = [p for p in model.parameters() if (id(p) in encoder, p.dim() > 1) == (inside, filters)]
            groups.append({"params": members, "lr_factor": factor, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=schedule.lr)


# ------------------------------------------------------------------------------------------------ table and plot


def curves_table(records: Sequence[dict[str, Any]]) -> TableText:
    """Mean over seeds, and lowest to highest, after each scored step; percent.

    Args:
        records: as `learning_curves` gives them, of one model or several.
    """
    rows = []
    for model in dict.fromkeys(r["model"] for r in records):
        for number, point in enumerate(next(r for r in records if r["model"] == model)["scores"]):
            row = [model, str(point["step"])]
            for init in INITIALISATIONS:
                curves = [r["scores"][number] for r in records if (r["model"], r["init"]) == (model, init)]
                ious = [100 * s["mean_iou"] for s in curves]
                spread = f" ({min(ious):.1f} to {max(ious):.1f})" if len(ious) > 1 else ""
                row.append(f"{fmean(ious):.1f}{spread}")
                row.append(f"{fmean(100 * s['global_accuracy'] for s in curves):.1f}")
            rows.append(tuple(row))
    columns = ("model", "steps", "mIoU, he", "G, he", "mIoU, tent", "G, tent")
    seeds: dict[str, list[str]] = {}
    for r in records:
        if r["init"] == INITIALISATIONS[0]:
            seeds.setdefault(r["model"], []).append(str(r["seed"]))
    notes = tuple(f"{model}: seeds {', '.join(own)}; {_in_words(SCHEDULES[model])}." for model, own in seeds.items())
    return TableText(
        "initialisation", "He and tent initialisation of the decoder: learning curves, %", columns, tuple(rows), notes
    )


def _in_words(schedule: Schedule) -> str:
    start = ", encoder from VGG16's ImageNet weights" if schedule.vgg16 else ""
    return (
        f"{schedule.steps} steps of {schedule.batch_size} crops of {schedule.crop_px[0]}x{schedule.crop_px[1]} px, "
        f"randomly flipped{start}; AdamW, learning rate {schedule.lr:g} (encoder x{schedule.encoder_lr_factor:g}), "
        f"cosine; class weights by {'the square root of ' * schedule.root_of_weights}median frequency; scored on every "
        f"third validation image at {schedule.size_px[0]}x{schedule.size_px[1]} px"
    )


def plot_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Plots mean IoU against steps as a PNG, one panel per model: thin lines are seeds, thick lines their mean.

    Args:
        records: as `learning_curves` gives them.
        path: an existing file is replaced.

    Raises:
        DataError: the file cannot be written.
    """
    models = list(dict.fromkeys(r["model"] for r in records))
    figure = Figure(figsize=(4.5 * len(models), 3.6), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        for init in INITIALISATIONS:
            curves = [r["scores"] for r in records if (r["model"], r["init"]) == (model, init)]
            steps = [point["step"] for point in curves[0]]
            heights = [[100 * point["mean_iou"] for point in curve] for curve in curves]
            for curve in heights:
                axes.plot(steps, curve, color=_COLOURS[init], linewidth=0.8, alpha=0.5)
            means = [fmean(at) for at in zip(*heights, strict=True)]
            axes.plot(steps, means, "o-", color=_COLOURS[init], linewidth=2, markersize=4, label=init)
        axes.set(title=model, xlabel="steps", ylabel="mean IoU, % of validation", ylim=(0, None), xlim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
