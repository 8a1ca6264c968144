"""What a run finds around it, the data and the machine, and the settings that `auto_config.py` chooses for them."""

import math
import os
import tomllib
from dataclasses import replace
from pathlib import Path
from statistics import median_low

import numpy as np
import torch
from pydantic import ValidationError

from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.data.object_size import object_sizes_px
from segnet.data.sample import Dataset
from segnet.device import choose_device
from segnet.errors import DataError, WeightsError
from segnet.io.text import parse_toml, read_text, toml_value
from segnet.machine import usable_cores
from segnet.training.auto_config import DataFacts, MachineFacts, Start, Tried, choose_settings, should_try
from segnet.training.start import reading_of
from segnet.weights.file import WEIGHTS, find_weights, read_card
from segnet.weights.vgg16 import vgg16_at_hand

_LOOKED_AT = 16
_NO_VGG16 = "ImageNet's VGG16 is not here (--set model.vgg16=torchvision fetches it, 528 MB; later trials then try it)"
_UNKNOWN_BYTES = 8 << 30  # of memory, where the system does not tell


def chosen_config(
    overrides: list[str], *, try_out: bool = False, limit_s: float = math.inf, short_px: int | None = None
) -> tuple[Config, tuple[str, ...]]:
    """Settings of a run without a recipe: what was given, and for the rest what fits data and machine.

    Args:
        overrides: `section.key=value`, as in `load_config`.
        try_out: where no weights know a class of the data, find the start by short trainings; else the first is taken.
        limit_s: for the whole run, of which those trainings take a small share.
        short_px: as in `choose_settings`.

    Returns:
        The settings, and what was chosen in words.

    Raises:
        ConfigError: an override that cannot be.
        DataError, LabelError or ShapeError: what opening or reading the training images raises.
    """
    overrides = [*_model_of_start(load_config(None, overrides)), *overrides]
    given = load_config(None, overrides)
    dataset = open_dataset(given.data.path, given.data.train_split, given.data.format, reading=reading_of(given.data))
    data = look_at_data(dataset)
    machine, starts = look_at_machine(choose_device(given.train.device).device), starts_at_hand()

    def choose(tried: Tried | None) -> tuple[Config, tuple[str, ...]]:
        choice = choose_settings(given, data, machine, starts, tried, short_px)
        chosen = [f"{key}={toml_value(value)}" for key, value in choice.settings.items()]
        return load_config(None, chosen + overrides), choice.lines

    if not (try_out and should_try(given, data, starts)):
        return choose(None)
    from segnet.training.trial import MOST_TRIAL_STEPS, SHARE_OF_TRIALS, try_starts  # noqa: PLC0415

    candidates = [None, *starts_to_try()]
    configs = [(start, choose(Tried(start, ""))[0]) for start in candidates]
    settings = configs[0][1].train
    steps = settings.epochs * max(data.num_images // (settings.batch_size * settings.accumulate), 1)
    num_steps = min(int(SHARE_OF_TRIALS * steps / len(candidates)), MOST_TRIAL_STEPS)
    tried = try_starts(configs, num_steps, SHARE_OF_TRIALS * limit_s)
    if tried and not any(start and start.is_vgg16 for start in candidates):
        tried = replace(tried, line=f"{tried.line}; {_NO_VGG16}")
    return choose(tried)


def _model_of_start(given: Config) -> list[str]:
    """The model that given starting weights are of, as overrides for what was not given itself."""
    if not given.model.start:
        return []
    card = read_card(find_weights(given.model.start))
    found = {"name": card.model, "normalisation": card.normalisation}
    return [f"model.{k}={toml_value(v)}" for k, v in found.items() if v and k not in given.model.model_fields_set]


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
        Config.model_validate(parse_toml(read_text(path)))
    except (DataError, tomllib.TOMLDecodeError, ValidationError):
        return None
    return load_config(str(path), overrides)


def look_at_data(dataset: Dataset) -> DataFacts:
    """Reads a few samples, evenly spread, for their size and that of their objects."""
    step = max(len(dataset) // _LOOKED_AT, 1)
    targets = [dataset[i].target for i in range(0, len(dataset), step)]
    sizes = [target.shape for target in targets]
    middle = (median_low(height for height, _ in sizes), median_low(width for _, width in sizes))
    objects = [size for target in targets for size in object_sizes_px(target)]
    object_px = float(np.percentile(objects, 25)) if objects else None
    return DataFacts(len(dataset), middle, dataset.label_set.names, object_px)


def look_at_machine(device: torch.device) -> MachineFacts:
    """Cores that this process may use, and all memory, whether or not it is free now."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        told = hasattr(os, "sysconf")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if told else _UNKNOWN_BYTES
    told = hasattr(os, "getloadavg") and "OMP_NUM_THREADS" not in os.environ  # who sets it has chosen
    return MachineFacts(device.type, usable_cores(), memory / 2**30, os.getloadavg()[0] if told else 0.0)


def starts_at_hand() -> list[Start]:
    """The weights of full models that ship, as far as their files are here; nothing is downloaded."""
    return [start for start, is_lean in _named_starts() if not is_lean]  # a lean model is to be asked for, or tried


def starts_to_try() -> list[Start]:
    """What a trial compares: all weights that ship, lean ones too, and ImageNet's VGG16 where it was fetched before."""
    imagenet = [Start(name, "segnet", form, (), is_vgg16=True) for name, form in vgg16_at_hand().items()]
    return [start for start, _ in _named_starts()] + imagenet[:1]


def _named_starts() -> list[tuple[Start, bool]]:
    """Each with whether it is lean."""
    starts = []
    for name, named in WEIGHTS.items():
        if named.url:
            continue
        try:
            card = read_card(find_weights(name))
        except WeightsError:
            continue
        starts.append((Start(name, card.model, card.normalisation, card.label_set.names), bool(card.widths)))
    return starts
