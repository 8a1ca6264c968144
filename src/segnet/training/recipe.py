"""Training from settings: a recipe names the data and the model, and `fit`'s loop trains them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from segnet.config import Config, DataSettings
from segnet.data import open_dataset
from segnet.data.reading.targets import require_labelled
from segnet.data.resizing import Resized
from segnet.data.sample import Dataset
from segnet.models.released_form import set_released_form
from segnet.models.widths import Widths
from segnet.training.callbacks import Callback
from segnet.training.checkpoint import State, state_to_begin_with
from segnet.training.data_look import with_range_of_values
from segnet.training.distributed import ALONE, Processes
from segnet.training.start import create_for_dataset, reading_of, widths_to_start_with
from segnet.training.train import Job, require_usable, run_job
from segnet.version import __version__
from segnet.weights.file import WeightsCard, find_weights, load_matching
from segnet.weights.named import DATA_TERMS
from segnet.weights.vgg16 import find_vgg16, load_vgg16


@torch.random.fork_rng(devices=[])  # the caller's random state is not changed
def train_from_config(
    config: Config,
    out: Path | str,
    callbacks: Sequence[Callback] = (),
    *,
    resume: bool = False,
    console: Console | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Trains the model that settings name on the data that they name, and keeps its best weights.

    Images of more than 8 bits get one range of values, where settings have none (`with_range_of_values`).

    Args:
        config: resolved settings, as from `load_config`.
        out: folder of the run, made if missing.
        callbacks: see the run at its named moments.
        resume: continue from `out/checkpoint.pt`; the result is the same as without the interruption.
        console: where the first process shows progress; None is quiet.
        processes: that train together, each in this function.

    Returns:
        Path of the kept weights, `out/best.safetensors`.

    Raises:
        WeightsError: weights to begin with, or the checkpoint to resume from, are missing or broken.
        SegNetError: as in `fit`.
        KeyboardInterrupt: by Ctrl-C; after the step in hand, whose checkpoint is then written.
    """
    out = Path(out)
    require_usable(config)
    config, state = processes.from_first(lambda: _begin(config, out, resume))
    train_set, val_set = open_sets(config)
    torch.manual_seed(config.train.seed)
    settings, widths = config.model, widths_to_start_with(config) if state is None else state.get("widths", {})
    model = build_model(config, train_set, widths, with_weights=state is None)
    card = WeightsCard(
        model=settings.name,
        normalisation=settings.normalisation,
        conv_bias=settings.conv_bias,
        bn_eps=settings.bn_eps,
        bands=config.data.bands or (),
        value_range=config.data.value_range,
        longest_side_px=config.data.longest_side_px,
        label_set=train_set.label_set,
        recipe=config.to_toml(),
        trained_on=f"{config.data.train_split} of {train_set.label_set.name}",
        licence=settings.licence,
        data_terms=DATA_TERMS.get(train_set.label_set.name, ""),
        version=__version__,
    )
    job = Job(config, model, train_set, val_set, card, out, tuple(callbacks), workers=config.data.workers)
    return run_job(job, state, console=console, processes=processes)


def _begin(config: Config, out: Path, resume: bool) -> tuple[Config, State | None]:
    config, _ = with_range_of_values(config)
    return config, state_to_begin_with(config, out, resume=resume)


def open_sets(config: Config) -> tuple[Dataset, Dataset]:
    """The training images, at the scale that settings ask for, and the validation images as they are.

    Raises:
        SegNetError: as in `open_dataset`, or a split without any labelled pixel.
    """
    train_set, val_set = (_open(config.data, split) for split in (config.data.train_split, config.data.val_split))
    if config.data.longest_side_px:
        return Resized(train_set, config.data.longest_side_px), val_set
    return train_set, val_set


def build_model(
    config: Config, train_set: Dataset, widths: Widths | None = None, *, with_weights: bool = True
) -> nn.Module:
    """The model that settings ask for.

    Args:
        config: resolved settings.
        train_set: not empty; it gives channels, classes and, for other channels than RGB, statistics.
        widths: of a lean model; None is the paper's.
        with_weights: load the weights to begin with; a checkpoint has its own.

    Raises:
        ConfigError or WeightsError: settings or weights that do not fit the model.
    """
    settings = config.model
    model = create_for_dataset(config, train_set, measure=with_weights, widths=widths)
    set_released_form(model, conv_bias=settings.conv_bias, bn_eps=settings.bn_eps, bn_shift=settings.bn_shift)
    if settings.vgg16 and with_weights:
        load_vgg16(model, find_vgg16(settings.vgg16))
    if settings.start and with_weights:
        load_matching(
            model, find_weights(settings.start), train_set.label_set, carry_first_layer=settings.carry_first_layer
        )
    return model


def _open(data: DataSettings, split: str) -> Dataset:
    dataset = open_dataset(data.path, split, data.format, reading=reading_of(data))
    require_labelled(dataset)
    return dataset
