"""Checkpoints: everything a run needs to go on as if it had not stopped. Whole or not at all."""

from pathlib import Path
from typing import Any

import torch

from segnet.errors import WeightsError
from segnet.files import whole_file

State = dict[str, Any]


def save_checkpoint(path: Path, state: State) -> None:
    """Writes `state` so that a crash at any moment leaves either the old file or the new one.

    Raises:
        DataError: the file cannot be written (disk full, no permission); an older checkpoint stays as it was.
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
        WeightsError: missing, truncated, or a pickle that holds more than tensors and plain values.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"no checkpoint at {path}; start without --resume") from None
    except Exception as cause:  # torch raises many types for a broken or refused file
        reason = (str(cause).splitlines() or [type(cause).__name__])[0].partition(". ")[0]  # without torch's advice
        raise WeightsError(f"{path} is not a checkpoint of this program ({reason}); delete it to start anew") from None
    if not isinstance(state, dict) or "step" not in state:
        raise WeightsError(f"{path} is not a checkpoint of this program: it has no step; delete it to start anew")
    return state
