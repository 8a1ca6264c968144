"""Checkpoints: everything a run needs to resume as if it had not stopped. Whole or not at all."""

import os
import tomllib
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from segnet.config import Config, FitConfig, PretrainConfig, Settings
from segnet.errors import ConfigError, WeightsError, lacks_memory
from segnet.io.files import whole_file
from segnet.io.text import parse_toml

State = dict[str, Any]
_PARTS = ("step", "config", "model", "optimiser")  # of every run; some have more


def save_checkpoint(path: Path, state: State) -> None:
    """Writes `state` so that a crash at any moment leaves either the old file or the new one.

    Raises:
        DataError: the file cannot be written (disk full, no permission); an older checkpoint is kept.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as cause:  # torch puts one of its own over the system's
            if isinstance(cause.__context__, OSError):
                raise cause.__context__ from None
            raise


def load_checkpoint(path: Path) -> State:
    """Reads what `save_checkpoint` wrote: tensors and plain values only, never code.

    Raises:
        WeightsError: missing, not readable, truncated, a pickle that holds more than tensors and plain values, or of
            another program.
        MemoryError: or PyTorch's RuntimeError, where memory runs out.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"no checkpoint at {path}; start without --resume") from None
    except OSError as cause:  # no reason to delete it
        raise WeightsError(f"{path} cannot be read: {cause.strerror or cause}") from None
    except Exception as cause:  # torch raises many types for a broken or refused file
        if lacks_memory(cause):
            raise
        reason = (str(cause).splitlines() or [type(cause).__name__])[0].partition(". ")[0]  # without torch's advice
        raise WeightsError(f"{path} is not a checkpoint of this program ({reason}); delete it to start again") from None
    missing = [part for part in _PARTS if not isinstance(state, dict) or part not in state]
    if missing:
        raise WeightsError(
            f"{path} is not a checkpoint of this program: it has no {', '.join(missing)}; delete it to start again"
        )
    return state  # type: ignore[no-any-return]


def state_to_begin_with(config: Settings, out: Path, *, resume: bool) -> State | None:
    """The checkpoint of the run in `out`, or None for a new run.

    Args:
        config: settings of the run that starts or resumes.
        out: its folder.
        resume: whether it resumes. Under a launcher that restarts, the first start has nothing to resume, and begins.

    Raises:
        ConfigError: `out` holds a run and `resume` is False, or a run of another command, or of settings that differ in
            more than may change (names each).
        WeightsError: no checkpoint to resume from, or a broken one.
    """
    path = out / "checkpoint.pt"
    if not resume:
        if path.exists():
            raise ConfigError(
                f"{out} holds a run already; add --resume (resume=True) to continue it, or name another folder"
            )
        return None
    if may_begin(out):
        return None
    state = load_checkpoint(path)
    before = settings_of(state, path)
    if type(before) is not type(config):
        raise ConfigError(f"{out} holds a run of `{before.command}`, not of `{config.command}`; name another folder")
    changed = config.changes(before)
    if changed:
        raise ConfigError(f"{out} is a run of other settings ({'; '.join(changed)}); use them, or another folder")
    return state


def may_begin(out: Path) -> bool:
    """Whether `--resume` begins a new run in `out`: `torchrun --max-restarts` repeats one command at every start."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0 and not (out / "checkpoint.pt").exists()


def settings_of(state: State, path: Path | str = "the checkpoint") -> Settings:
    """The settings in a checkpoint; those that did not exist yet when it was written have their defaults.

    Args:
        state: of a run.
        path: of its file, for messages.

    Raises:
        WeightsError: settings that this version does not know.
    """
    kinds: tuple[type[Settings], ...]
    try:
        stored = parse_toml(str(state["config"]))
        kinds = (Config, PretrainConfig) if "data" in stored else (FitConfig,)
    except tomllib.TOMLDecodeError:
        kinds = ()
    for kind in kinds:
        try:
            return kind.model_validate(stored)
        except ValidationError:
            continue
    raise WeightsError(f"{path} holds settings that this version does not know; name another folder")
