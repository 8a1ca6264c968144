"""What a run finds around it, the data and the machine, and the settings that `auto_config.py` chooses for them."""

import os
import tomllib
from pathlib import Path
from statistics import median_low

import torch
from pydantic import ValidationError

from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.data.sample import Dataset
from segnet.device import choose_device
from segnet.errors import DataError, WeightsError
from segnet.io.text import read_text, toml_value
from segnet.training.auto_config import DataFacts, MachineFacts, Start, choose_settings
from segnet.training.start import reading_of
from segnet.weights.file import WEIGHTS, find_weights, read_card

_LOOKED_AT = 8
_UNKNOWN_BYTES = 8 << 30  # of memory, where the system does not tell


def chosen_config(overrides: list[str]) -> tuple[Config, tuple[str, ...]]:
    """Settings of a run without a recipe: what was given, and for the rest what fits data and machine.

    Args:
        overrides: `section.key=value`, as in `load_config`.

    Returns:
        The settings, and what was chosen in words.

    Raises:
        ConfigError: an override that cannot be.
        DataError, LabelError or ShapeError: what opening or reading the training images raises.
    """
    given = load_config(None, overrides)
    dataset = open_dataset(given.data.path, given.data.train_split, given.data.format, reading=reading_of(given.data))
    device = choose_device(given.train.device).device
    choice = choose_settings(given, look_at_data(dataset), look_at_machine(device), starts_at_hand())
    chosen = [f"{key}={toml_value(value)}" for key, value in choice.settings.items()]
    return load_config(None, chosen + overrides), choice.lines


def config_of_run(out: Path, overrides: list[str]) -> Config | None:
    """Settings of the training run in a folder, to resume it; None if the folder holds no run.

    Args:
        out: the folder.
        overrides: as in `load_config`; they win.

    Raises:
        ConfigError: an override that cannot be.
    """
    path = out / "config.toml"
    try:
        Config.model_validate(tomllib.loads(read_text(path)))
    except (DataError, tomllib.TOMLDecodeError, ValidationError):
        return None
    return load_config(str(path), overrides)


def look_at_data(dataset: Dataset) -> DataFacts:
    """Reads a few samples, evenly spread, for their size."""
    step = max(len(dataset) // _LOOKED_AT, 1)
    sizes = [dataset[i].target.shape for i in range(0, len(dataset), step)]
    middle = (median_low(height for height, _ in sizes), median_low(width for _, width in sizes))
    return DataFacts(len(dataset), middle, dataset.label_set.names)


def look_at_machine(device: torch.device) -> MachineFacts:
    """Cores that this process may use, and all memory, whether or not it is free now."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        told = hasattr(os, "sysconf")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if told else _UNKNOWN_BYTES
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return MachineFacts(device.type, cores, memory / 2**30)


def starts_at_hand() -> list[Start]:
    """The weights that ship, as far as their files are here; nothing is downloaded."""
    starts = []
    for name, named in WEIGHTS.items():
        if named.url:
            continue
        try:
            card = read_card(find_weights(name))
        except WeightsError:
            continue
        if card.widths:
            continue  # a lean model is a choice of its own, to be asked for by model.start
        starts.append(Start(name, card.model, card.normalisation, card.label_set.names))
    return starts
