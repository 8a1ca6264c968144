"""Iterative pruning: remove a part, train a part, until the budget is met. The training is that of `segnet train`.

Channels go in several rounds; by rank all convolutions are put in factors at once.

A run is a folder, one subfolder per round, so that it can be stopped anywhere and go on with the same result:

    round-1/pruned.safetensors    the model after the removal, float32
    round-1/train/                a training run as any other: config.toml, log.jsonl, checkpoint.pt, best.safetensors
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from torch import Tensor, nn

from segnet.compression.allocate import Budget, BudgetKind, shares_by_round
from segnet.compression.channels import ChannelGroups, find_groups
from segnet.compression.class_layers import class_layers
from segnet.compression.importance import group_scores
from segnet.compression.low_rank import low_rank
from segnet.compression.prune import Size, pruned, size_of
from segnet.config import Config
from segnet.config.sections import ModelSettings
from segnet.data import open_dataset
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.loader import TrainLoader
from segnet.data.reading.targets import require_labelled
from segnet.data.sample import Dataset, spread
from segnet.data.transforms import image_to_tensor
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, WeightsError
from segnet.io.files import require_apart, sha256_of, whole_file
from segnet.training.recipe import train_from_config
from segnet.weights.file import WeightsCard, find_weights, load_weights, save_weights


@dataclass(frozen=True)
class PruneSettings:
    """How a model is pruned.

    Attributes:
        budget: what may stay at the end.
        rounds: removals, each followed by training.
        steps: of training after each removal; 0 does not train.
        images: training images that the importance of channels is measured on, in each round.
        multiple: widths stay multiples of this where they were at least as large.
        size_px: (height, width) of the image that multiplications are counted for.
        by: what is removed: `channels`, or by `rank` the freedom of filters, whose convolutions become two factors, in
            one round.
    """

    budget: Budget
    rounds: int = 4
    steps: int = 100
    images: int = 64
    multiple: int = 8
    size_px: tuple[int, int] = (360, 480)
    by: Literal["channels", "rank"] = "channels"

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("steps", 0), ("images", 1), ("multiple", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"pruning: {name} {getattr(self, name)}: expected at least {least}")
        if self.by == "rank" and self.rounds != 1:
            raise ConfigError(f"pruning by rank takes one round, got {self.rounds}; give --rounds 1")


@dataclass(frozen=True)
class Pruned:
    """What pruning has made.

    Attributes:
        path: of the weights.
        card: their card; with scores where there was training.
        before: size of the model that it began with.
        after: size of the lean one.
    """

    path: Path
    card: WeightsCard
    before: Size
    after: Size


def prune_weights(
    weights: str | Path,
    config: Config,
    out: Path,
    settings: PruneSettings,
    *,
    run: Path | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> Pruned:
    """Prunes weights and writes the lean ones.

    Args:
        weights: name or path.
        config: of the data and of the training between the removals. Its model is replaced by that of the weights, and
            the weights themselves are the teacher where it has none.
        out: the file to write, `.safetensors`.
        settings: of the pruning.
        run: folder of the run; None is `out` without its suffix and with `-run`.
        resume: go on with the run in that folder; the result is the same as without the interruption.
        console: where progress is shown; None is quiet.

    Raises:
        ConfigError: the budget leaves too little, the folder holds a run and `resume` is not set, or that run began
            from other weights or settings.
        WeightsError: weights that cannot be read, or of other classes or channels than the data.
        DataError: no labelled images.
    """
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: weights are saved as .safetensors; give the file that suffix")
    path, run = find_weights(weights), run or out.with_name(f"{out.stem}-run")
    require_apart([out], [path])
    model, card = load_weights(path)
    train_set = open_dataset(config.data.path, config.data.train_split, config.data.format, reading=card.reading)
    _require_fit(weights, card, train_set)
    groups = find_groups(model, class_layers(card))
    before = size_of(model, settings.size_px, groups)
    config = _config_of_rounds(config, card, str(weights), settings)
    _begin(run, resume=resume, fingerprint=_fingerprint(path, config, settings))

    said = console or Console(quiet=True)
    current = path
    for number, share in enumerate(shares_by_round(settings.budget.share, settings.rounds), start=1):
        folder = run / f"round-{number}"
        lean = folder / "pruned.safetensors"
        if not lean.exists():
            amount = share * before.amount(settings.budget.kind)
            _remove_part(current, lean, config, train_set, settings, amount, number)
        said.print(f"round {number} of {settings.rounds}: {_told(load_weights(lean)[0], settings, before)}")
        current = lean
        if settings.steps:
            of_round = _config_of_round(config, lean, settings, number)
            begun = (folder / "train" / "checkpoint.pt").exists()
            current = train_from_config(of_round, folder / "train", resume=begun, console=console)
    made, made_card = load_weights(current)
    note = (
        f"\n# pruned from weights with sha256 {sha256_of(path)[:16]} to {settings.budget.share:g} of the "
        f"{settings.budget.kind}, by {settings.by}, in {settings.rounds} round{'s' * (settings.rounds > 1)} of "
        f"{settings.steps} steps, by the settings above\n"
    )
    scores = (made_card.scores, made_card.class_iou) if settings.steps else ({}, {})
    made_card = replace(made_card, recipe=made_card.recipe + note, scores=scores[0], class_iou=scores[1])
    save_weights(out, made, made_card)
    return Pruned(out, load_weights(out)[1], before, size_of(made, settings.size_px))


def _remove_part(
    start: Path,
    lean: Path,
    config: Config,
    train_set: Dataset,
    settings: PruneSettings,
    amount: float,
    number: int,
) -> None:
    """One removal: weights in, leaner weights out."""
    model, card = load_weights(start)
    groups: ChannelGroups = find_groups(model, class_layers(card))
    kind: BudgetKind = settings.budget.kind
    result = model
    if size_of(model, settings.size_px, groups).amount(kind) <= amount:
        pass
    elif settings.by == "rank":
        images = (image_to_tensor(train_set[i].image)[None] for i in spread(len(train_set), settings.images))
        result = low_rank(model, groups, images, kind, amount, size_px=settings.size_px, multiple=settings.multiple)
    else:
        device_spec = choose_device(config.train.device, config.train.precision)
        device_spec.ready(model)
        scores = _scores(model, groups, config, train_set, settings, device_spec, number)
        result = pruned(
            model.cpu(),
            groups,
            scores,
            kind,
            amount,
            size_px=settings.size_px,
            multiple=settings.multiple,
            least_share=0.5 if settings.rounds > 1 else 0.0,  # no round empties a layer that training could defend
        )
    save_weights(lean, result, replace(card, scores={}, class_iou={}), torch.float32)


def _scores(
    model: nn.Module,
    groups: ChannelGroups,
    config: Config,
    train_set: Dataset,
    settings: PruneSettings,
    device_spec: DeviceSpec,
    number: int,
) -> dict[int, float]:
    batch_size = min(config.train.batch_size, len(train_set))
    loader = TrainLoader(train_set, config.augment, batch_size=batch_size, seed=config.train.seed + number)
    count = max(settings.images // batch_size, 1)
    weights: Tensor = median_frequency(count_frequencies(train_set)).sqrt().to(device_spec.device)
    return group_scores(model, groups, loader.batches(0, count), device_spec, weights)


def _config_of_rounds(config: Config, card: WeightsCard, weights: str, settings: PruneSettings) -> Config:
    """The settings of the training of every round, without the weights that it starts from."""
    model = ModelSettings(
        name=card.model,
        normalisation=card.normalisation,
        conv_bias=card.conv_bias,
        bn_eps=card.bn_eps,
        licence=config.model.licence or card.licence,
    )
    train = config.train.model_copy(
        update={
            "teacher": config.train.teacher or weights,
            "max_steps": settings.steps,
            "epochs": max(settings.steps, 1),  # an epoch has at least one step
            "evaluate_every": 0,
            "keep": "last",
        }
    )
    data = config.data.model_copy(update={"bands": card.bands or None, "value_range": card.value_range})
    return config.model_copy(update={"model": model, "train": train, "data": data})


def _config_of_round(config: Config, lean: Path, settings: PruneSettings, number: int) -> Config:
    """Starts from that round's weights; only the last round is scored, since evaluating costs as much as training."""
    model = config.model.model_copy(update={"start": str(lean)})
    every = max(settings.steps, 1) if number == settings.rounds else 0
    return config.model_copy(
        update={"model": model, "train": config.train.model_copy(update={"evaluate_every": every})}
    )


def _require_fit(weights: str | Path, card: WeightsCard, train_set: Dataset) -> None:
    if len(train_set):
        require_labelled(train_set)
    if card.label_set.names != train_set.label_set.names:
        raise WeightsError(
            f"{weights} knows the classes {', '.join(card.label_set.names)}; the data has "
            f"{', '.join(train_set.label_set.names)}; prune with a dataset of the classes that the model was trained on"
        )


def _begin(run: Path, *, resume: bool, fingerprint: str) -> None:
    """Stores what the run starts from, or checks that a resumed run has the same."""
    noted = run / "settings.toml"
    if noted.exists() and not resume:
        raise ConfigError(f"{run} holds a run already; add --resume to continue it, or name another --out or --run")
    if resume and not noted.exists():
        raise ConfigError(f"no run to go on with in {run}; start without --resume")
    if resume and noted.read_text(encoding="utf-8") != fingerprint:
        raise ConfigError(f"{run} is a run of other weights or settings; use those, or another --out or --run")
    with whole_file(noted) as temporary:
        temporary.write_text(fingerprint, encoding="utf-8")


def _fingerprint(path: Path, config: Config, settings: PruneSettings) -> str:
    lines = [f"# pruning of weights with sha256 {sha256_of(path)}", f"# {settings}", ""]
    return "\n".join(lines) + config.to_toml()


def _told(model: nn.Module, settings: PruneSettings, before: Size) -> str:
    size = size_of(model, settings.size_px)
    return (
        f"{size.macs / 1e9:.2f} of {before.macs / 1e9:.2f} GMAC, {size.parameters / 1e6:.2f} of "
        f"{before.parameters / 1e6:.2f} M parameters"
    )
