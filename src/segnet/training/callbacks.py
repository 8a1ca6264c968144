"""Callbacks: code of the caller that sees a run at its named moments.

    on_start        before the first step
    on_step         after every step
    on_evaluation   after the scores of the validation set, and after the weights are written if they are the best
    on_checkpoint   after a checkpoint is on the disk
    on_end          once, however the run ends

Callbacks look on and may end the run; they cannot reorder it. Where several processes train, the first one has them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from segnet.errors import CallbackError, ConfigError
from segnet.metrics.scores import Scores


@dataclass(frozen=True)
class RunStart:
    """A run that is about to start or to resume.

    Attributes:
        out: folder of the run.
        model: that is trained, on its device.
        settings: resolved, by section.
        step: steps that were taken before; 0 in a new run.
        num_steps: of the whole run.
    """

    out: Path
    model: nn.Module
    settings: dict[str, Any]
    step: int
    num_steps: int


@dataclass(frozen=True)
class StepEnd:
    """A step that was taken.

    Attributes:
        step: steps that were taken so far.
        num_steps: of the whole run.
        epoch: passes over the training set so far.
        loss: of the step.
        lr: learning rate of the step.
        images_per_s: since the last evaluation.
    """

    step: int
    num_steps: int
    epoch: float
    loss: float
    lr: float
    images_per_s: float


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of the validation set.

    Attributes:
        step: steps that were taken so far.
        epoch: passes over the training set so far.
        scores: of the validation set, without boundary F1.
        is_best: whether these weights were kept.
        model: that was evaluated: the moving average where there is one.
        weights: file of the best weights so far.
    """

    step: int
    epoch: float
    scores: Scores
    is_best: bool
    model: nn.Module
    weights: Path


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint on the disk.

    Attributes:
        step: steps that it holds.
        path: of its file.
    """

    step: int
    path: Path


@dataclass(frozen=True)
class RunEnd:
    """The end of a run.

    Attributes:
        step: steps that were taken.
        finished: whether the run is over; False where it can be resumed.
        reason: in words.
    """

    step: int
    finished: bool
    reason: str


class Callback:
    """A callback that does nothing; override the moments that matter.

    Example:
        >>> class Print(Callback):
        ...     def on_evaluation(self, moment):
        ...         print(moment.step, moment.scores.mean_iou)
    """

    def on_start(self, moment: RunStart) -> None:
        """Before the first step."""

    def on_step(self, moment: StepEnd) -> str | None:
        """After every step.

        Returns:
            None, or why the run should end here; the weights are then evaluated as after a last step.
        """

    def on_evaluation(self, moment: Evaluated) -> str | None:
        """After an evaluation.

        Returns:
            None, or why the run should end here.
        """

    def on_checkpoint(self, moment: CheckpointSaved) -> None:
        """After a checkpoint."""

    def on_end(self, moment: RunEnd) -> None:
        """Once, however the run ends."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint should keep of this callback: plain values and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what `state_dict` gave, before `on_start` of a resumed run."""


class EarlyStopping(Callback):
    """Ends a run whose score has not improved for some evaluations. `train.early_stopping` makes one.

    Args:
        patience: evaluations without a better score, at least 1.
        score: whose highest value counts.
        least_gain: that counts as better, 0..1.

    Raises:
        ConfigError: a patience below 1.
    """

    def __init__(
        self,
        patience: int = 5,
        score: Literal["mean_iou", "global_accuracy", "class_average_accuracy"] = "mean_iou",
        least_gain: float = 0.0,
    ) -> None:
        if patience < 1:
            raise ConfigError(f"EarlyStopping: patience {patience}: expected at least 1 evaluation")
        self.patience, self.score, self.least_gain = patience, score, least_gain
        self.best, self.waited = -1.0, 0

    def on_evaluation(self, moment: Evaluated) -> str | None:
        """As in `Callback`."""
        value: float = getattr(moment.scores, self.score)
        if value > self.best + self.least_gain:
            self.best, self.waited = value, 0
            return None
        self.waited += 1
        if self.waited < self.patience:
            return None
        return f"{self.score} has not risen above {self.best:.4f} for {self.waited} evaluations"

    def state_dict(self) -> dict[str, Any]:
        """As in `Callback`."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As in `Callback`."""
        self.best, self.waited = float(state["best"]), int(state["waited"])


class Callbacks:
    """All callbacks of a run, called in order.

    An error in one of them does not stop the step in hand: the run is saved first, then `raise_error` tells it.

    Args:
        callbacks: in order.

    Attributes:
        reason: why a callback ends the run; None while none does.
        error: of the first callback that raised, and where.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ConfigError(
                    f"callbacks: expected objects of a class that extends segnet.Callback, got {callback!r:.80}"
                )
        self._callbacks = tuple(callbacks)
        self.reason: str | None = None
        self.error: tuple[str, Exception] | None = None

    @property
    def wants_to_stop(self) -> bool:
        """Whether a callback requested the end, or raised."""
        return self.reason is not None or self.error is not None

    def start(self, moment: RunStart) -> None:
        """Calls `on_start` of each."""
        self._call("on_start", lambda callback: callback.on_start(moment))

    def step(self, moment: StepEnd) -> None:
        """Calls `on_step` of each."""
        self._call("on_step", lambda callback: callback.on_step(moment))

    def evaluation(self, moment: Evaluated) -> None:
        """Calls `on_evaluation` of each."""
        self._call("on_evaluation", lambda callback: callback.on_evaluation(moment))

    def checkpoint(self, moment: CheckpointSaved) -> None:
        """Calls `on_checkpoint` of each."""
        self._call("on_checkpoint", lambda callback: callback.on_checkpoint(moment))

    def end(self, moment: RunEnd) -> None:
        """Calls `on_end` of each, also after an error."""
        self._call("on_end", lambda callback: callback.on_end(moment))

    def raise_error(self, step: int, checkpoint: Path) -> None:
        """Tells the error of a callback, if one raised.

        Args:
            step: that the checkpoint holds.
            checkpoint: where the run is saved.

        Raises:
            CallbackError: names the callback, the moment and the cause.
        """
        if self.error is not None:
            where, cause = self.error
            raise CallbackError(
                f"the callback {where} raised {type(cause).__name__} at step {step}: {cause}; the run is saved in "
                f"{checkpoint}: mend the callback and resume"
            ) from cause

    def state(self) -> list[dict[str, Any]]:
        """Of each callback its name and state, for a checkpoint."""
        return [{"name": type(c).__name__, "state": c.state_dict()} for c in self._callbacks]

    def take(self, states: Sequence[dict[str, Any]]) -> None:
        """Gives each callback the state of the same name and number; a new one starts empty."""
        for callback in self._callbacks:
            name = type(callback).__name__
            own = [c for c in self._callbacks if type(c).__name__ == name].index(callback)
            stored = [state for state in states if state["name"] == name]
            if own < len(stored):
                callback.load_state_dict(stored[own]["state"])

    def _call(self, moment: str, call: Callable[[Callback], str | None]) -> None:
        for callback in self._callbacks:
            try:
                reason = call(callback)
            except Exception as cause:  # whatever the caller's code raises
                self.error = self.error or (f"{type(callback).__name__}.{moment}", cause)
                continue
            self.reason = self.reason or reason
