"""Training: one flat loop, lr -> forward -> loss -> backward -> step -> log -> (every so often) evaluate, save.

A run is a folder:

    config.toml        the resolved settings
    log.jsonl          one record per few steps and per evaluation
    checkpoint.pt      all that is needed to resume; stopping anywhere, kill -9 included, changes nothing in the result
    best.safetensors   the weights of the best evaluation, with their label set, settings and scores

`fit` trains anybody's model on anybody's dataset; `train_from_config` (`recipe.py`) builds both from settings. Several
processes walk through the same lines, each with its part of every batch (`distributed.py`).
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from segnet.config import Config, FitConfig, TrainSettings
from segnet.data.adapting import adapt_dataset
from segnet.data.loader import TrainLoader
from segnet.data.sample import Dataset
from segnet.data.transforms import JointTransform
from segnet.data.value_range import read_alike
from segnet.device import choose_device
from segnet.errors import ConfigError, LabelError
from segnet.io.files import whole_file
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores
from segnet.training.batch_norm_statistics import recompute_statistics
from segnet.training.callbacks import Callback, Callbacks, CheckpointSaved, Evaluated, RunEnd, RunStart, StepEnd
from segnet.training.checkpoint import State, save_checkpoint, settings_of, state_to_begin_with
from segnet.training.distributed import ALONE, Processes
from segnet.training.interrupt import Interrupt
from segnet.training.log import LOG_EVERY, RunLog
from segnet.training.objective import Loss, Objective, class_weights_of
from segnet.training.progress import StepsShown
from segnet.training.run import Run
from segnet.training.schedules import lr_multiplier
from segnet.training.start import card_of
from segnet.training.teacher import teacher_of
from segnet.training.trackers import callbacks_of
from segnet.weights.file import WeightsCard


@torch.random.fork_rng(devices=[])  # the caller's random state is not changed
def fit(
    model: nn.Module,
    train_set: Any,
    val_set: Any,
    settings: FitConfig | None = None,
    callbacks: Sequence[Callback] = (),
    *,
    out: Path | str = "runs/fit",
    classes: LabelSet | Sequence[str] | int | None = None,
    loss: Loss | None = None,
    transform: JointTransform | None = None,
    workers: int = 0,
    resume: bool = False,
    console: Console | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Trains a model of this package or any other on any dataset, and keeps its best weights.

    PyTorch has one random state for all threads, so two runs at a time need two processes. Datasets of this package
    whose images have more than 8 bits, and no range of values yet, get that of the training set (`read_alike`).

    Args:
        model: (N, C, H, W) in [0, 1] -> logits (N, K, H, W); trained in place, and moved to the device. It ends with
            the weights of the last step; the best are in the file.
        train_set: a dataset of this package, or any with `__len__` and `__getitem__` as in `segnet.data.adapt_dataset`.
        val_set: the same, labelled with the same classes.
        settings: of augmentation, loss and training; None takes the defaults.
        callbacks: see the run at its named moments; those that `settings` ask for come after them.
        out: folder of the run, made if missing.
        classes: label set, names or number of the classes; None takes those of the training set.
        loss: in place of the one in `settings`.
        transform: joint transform of each training sample, after the augmentation of `settings`.
        workers: processes that read images ahead; 0 reads in this one.
        resume: go on from `out/checkpoint.pt`; the result is the same as without the interruption. More `train.epochs`
            than before are allowed: the schedule then spans the longer run.
        console: where the first process shows progress; None is quiet.
        processes: that train together, each in this function.

    Returns:
        Path of the kept weights, `out/best.safetensors`. `segnet.load` opens those of this package's models,
        `safetensors.torch.load_model` those of others.

    Raises:
        ConfigError: `out` holds a run and `resume` is not set, its checkpoint is of other settings or of another
            command, settings that do not fit the model or the processes, or a tracker that is not installed.
        WeightsError: the checkpoint to resume from is missing, broken, or of another model.
        DataError: samples of another form, too few of them, or a file of the run cannot be written.
        LabelError: a class id that is not known, or no labelled pixel at all in a split.
        ShapeError: the model does not give (N, K, H, W) at the size of the image, takes another number of channels, or
            image and target of a sample differ in size.
        NonFiniteError: the run diverged; names step and images. The last checkpoint stays.
        CallbackError: a callback raised; the run was saved first.
        SegNetError: another process ended.
        KeyboardInterrupt: by Ctrl-C; after the step in hand, whose checkpoint is then written.

    Example:
        >>> fit(model, train_set, val_set, FitConfig(train=TrainSettings(epochs=20, lr=0.01)), out="runs/mine")
    """
    config = settings or FitConfig()
    if not isinstance(config, FitConfig):
        raise ConfigError(
            f"settings: expected a FitConfig, got {type(config).__name__}; train_from_config takes a Config"
        )
    out = Path(out)
    require_usable(config)
    state = processes.from_first(lambda: state_to_begin_with(config, out, resume=resume))
    own = adapt_dataset(train_set, classes)
    val = adapt_dataset(val_set, own.label_set if _has_no_classes(val_set) or classes is not None else None)
    if val.label_set.names != own.label_set.names:
        raise LabelError(
            f"the training set has the classes {', '.join(own.label_set.names)}, the validation set "
            f"{', '.join(val.label_set.names)}; give both the same"
        )
    read_alike({"train": own, "val": val})
    torch.manual_seed(config.train.seed)
    card = card_of(model, own, config)
    job = Job(config, model, own, val, card, out, tuple(callbacks), loss, transform, workers)
    return run_job(job, state, console=console, processes=processes)


@dataclass(frozen=True)
class Job:
    """What is to be trained.

    Attributes:
        config: resolved settings.
        model: with the weights that it begins from.
        train_set: labelled.
        val_set: labelled with the same classes.
        card: of the weights.
        out: folder of the run.
        callbacks: of the caller.
        loss: of the caller; None takes the settings'.
        transform: of the caller.
        workers: processes that read images ahead.
    """

    config: Config | FitConfig
    model: nn.Module
    train_set: Dataset
    val_set: Dataset
    card: WeightsCard
    out: Path
    callbacks: tuple[Callback, ...] = ()
    loss: Loss | None = None
    transform: JointTransform | None = None
    workers: int = 0


def require_usable(config: Config | FitConfig) -> None:
    """Refuses at once what would fail later.

    Raises:
        ConfigError: a tracker that is not installed, or a device that is not there.
    """
    callbacks_of(config.train)
    choose_device(config.train.device, config.train.precision)


def run_job(job: Job, state: State | None, *, console: Console | None, processes: Processes) -> Path:
    """Trains, from the beginning or from a checkpoint; results and errors as in `fit`."""
    config, settings = job.config, job.config.train
    device_spec = choose_device(settings.device, settings.precision)
    loader = TrainLoader(
        job.train_set,
        config.augment,
        job.transform,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        seed=settings.seed,
        workers=job.workers,
        part=processes.rank,
        parts=processes.count,
    )
    plan = Plan(settings, loader.steps_per_epoch)
    hooks = Callbacks([*job.callbacks, *callbacks_of(settings)] if processes.is_first else ())
    weights = None if job.loss else class_weights_of(config.loss, job.train_set, device_spec)
    objective = Objective(config.loss, weights, job.loss)
    run = Run.begin(config, job.card, job.model, objective, hooks, device_spec, processes, state)
    run.teacher = teacher_of(config, job.train_set, device_spec)
    loop = Loop(job, run, plan, loader, console if console and processes.is_first else Console(quiet=True))
    if state is not None:
        loop.tell_changes(state)
    if processes.is_first:
        with whole_file(job.out / "config.toml") as temporary:
            temporary.write_text(config.to_toml(), encoding="utf-8")
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads)
    hooks.start(RunStart(job.out, run.model, config.model_dump(mode="json"), run.step, plan.num_steps))
    try:
        loop.take_steps()
        loop.finish()
    except BaseException as cause:
        hooks.end(RunEnd(run.step, False, str(cause) or type(cause).__name__))
        raise
    finally:
        torch.set_num_threads(threads)
    hooks.end(RunEnd(run.step, True, run.ended or "all steps were taken"))
    hooks.raise_error(run.step, loop.checkpoint)
    return loop.kept


@dataclass
class Loop:
    """The steps of a run, and what happens between them.

    Attributes:
        job: what is trained.
        run: what changes.
        plan: what is due when.
        loader: of the batches.
        console: of messages.
    """

    job: Job
    run: Run
    plan: "Plan"
    loader: TrainLoader
    console: Console

    @property
    def kept(self) -> Path:
        """File of the best weights."""
        return self.job.out / "best.safetensors"

    @property
    def checkpoint(self) -> Path:
        """File of the checkpoint."""
        return self.job.out / "checkpoint.pt"

    def take_steps(self) -> None:
        """Takes all steps that are left; returns early when a callback ends the run."""
        run, plan, hooks, settings = self.run, self.plan, self.run.callbacks, self.job.config.train
        batches = self.loader.batches(run.step, plan.num_steps)
        began, images = time.perf_counter(), 0
        title = f"{self.job.card.model} on {run.device_spec}"
        with (
            RunLog(self.job.out / "log.jsonl" if run.processes.is_first else None, run.step) as log,
            StepsShown(self.console, title, plan.num_steps, run.step) as shown,
            Interrupt(self.console) as interrupt,
        ):
            while run.step < plan.num_steps and run.ended is None and hooks.error is None:
                lr = plan.lr(run.step)
                loss = run.learn([next(batches) for _ in range(settings.accumulate)], lr)
                run.step += 1

                images += settings.batch_size * settings.accumulate
                speed, epoch = images / (time.perf_counter() - began), run.step / self.loader.steps_per_epoch
                shown.update(run.step, f"loss {loss:.3f}, {speed:.1f} images/s")
                if run.step % LOG_EVERY == 0:
                    log.write({"step": run.step, "loss": round(loss, 5), "lr": lr, "images_per_s": round(speed, 2)})
                hooks.step(StepEnd(run.step, plan.num_steps, epoch, loss, lr, speed))

                is_due = plan.evaluation_is_due(run.step) or run.processes.any(hooks.reason is not None)
                if is_due:
                    self._evaluate(log, lr)
                    began, images = time.perf_counter(), 0
                if run.processes.any(hooks.reason is not None):
                    run.ended = hooks.reason or "a callback ended it"
                stopped = run.processes.any(interrupt.asked or hooks.error is not None)
                if stopped or is_due or plan.checkpoint_is_due(run.step):  # after the step's evaluation
                    self._save()
                hooks.raise_error(run.step, self.checkpoint)
                if stopped and run.step < plan.num_steps and run.ended is None:
                    interrupt.stop(self.checkpoint, run.step, plan.num_steps)
        if hooks.error is not None:  # before the first step
            self._save()
            hooks.raise_error(run.step, self.checkpoint)

    def finish(self) -> None:
        """What comes after the last step: the statistics pass, and the scores of the kept weights in their card."""
        run, job = self.run, self.job
        if run.ended is not None:
            self.console.print(f"ended after step {run.step} of {self.plan.num_steps}: {run.ended}", soft_wrap=True)
        if job.config.train.statistics_pass == "last":
            self._recompute_statistics()
            scores, _ = run.evaluate_and_keep(job.val_set, self.kept, self.plan.lr(max(run.step - 1, 0)))
            self.console.print(_in_words("after the statistics pass", scores), soft_wrap=True)
        run.complete_card(job.val_set, self.kept)

    def tell_changes(self, state: State) -> None:
        """Says of a run that is resumed with a later end what becomes of its schedule, and takes back an early end."""
        run, plan, console = self.run, self.plan, self.console
        old = settings_of(state)
        assert isinstance(old, type(run.config))  # `state_to_begin_with` has compared them
        raised, before = run.config.raised_over(old), Plan(old.train, plan.steps_per_epoch)
        if not raised:
            return
        run.ended = None  # a limit that was raised is there to be used
        console.print(f"resumed at step {run.step} with {'; '.join(raised)}", soft_wrap=True, highlight=False)
        schedule = run.config.train.schedule
        if schedule == "constant" or before.num_steps == plan.num_steps or run.step >= plan.num_steps:
            return
        console.print(
            f"the {schedule} schedule now spans {plan.num_steps} steps instead of {before.num_steps}: the learning "
            f"rate goes from {before.lr(max(run.step - 1, 0)):.3g} to {plan.lr(run.step):.3g}, and the result is not "
            "that of a run planned for that length from the start",
            soft_wrap=True,
            highlight=False,
        )

    def _evaluate(self, log: RunLog, lr: float) -> None:
        run, job = self.run, self.job
        if job.config.train.statistics_pass == "every":
            self._recompute_statistics()
        scores, is_best = run.evaluate_and_keep(job.val_set, self.kept, lr)
        if not run.processes.is_first:
            return
        epoch = run.step / self.loader.steps_per_epoch
        log.write({"step": run.step, "epoch": epoch, **_rounded(scores)})
        self.console.print(_in_words(f"step {run.step}", scores), soft_wrap=True)
        run.callbacks.evaluation(Evaluated(run.step, epoch, scores, is_best, run.kept_model, self.kept))

    def _save(self) -> None:
        if self.run.processes.is_first:
            save_checkpoint(self.checkpoint, self.run.state())
            self.run.callbacks.checkpoint(CheckpointSaved(self.run.step, self.checkpoint))

    def _recompute_statistics(self) -> None:
        run = self.run
        batch_size = run.config.train.batch_size
        recompute_statistics(run.kept_model, self.job.train_set, run.device_spec, batch_size, run.processes)


@dataclass(frozen=True)
class Plan:
    """What is due at which step.

    Attributes:
        settings: of training.
        steps_per_epoch: of the training set.
    """

    settings: TrainSettings
    steps_per_epoch: int

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        of_epochs = self.settings.epochs * self.steps_per_epoch
        return min(of_epochs, self.settings.max_steps or of_epochs)

    def lr(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warmup_steps = round(self.settings.warmup * self.num_steps)
        return self.settings.lr * lr_multiplier(self.settings.schedule, step, self.num_steps, warmup_steps)

    def evaluation_is_due(self, step: int) -> bool:
        """Whether to evaluate after so many steps."""
        if not self.settings.evaluate_every:
            return False
        return step % (self.settings.evaluate_every * self.steps_per_epoch) == 0 or step == self.num_steps

    def checkpoint_is_due(self, step: int) -> bool:
        """Whether to write a checkpoint after so many steps."""
        is_last = step == self.num_steps
        return step % self.settings.checkpoint_every == 0 or is_last or self.evaluation_is_due(step)


def _has_no_classes(dataset: Any) -> bool:
    return getattr(dataset, "label_set", None) is None and getattr(dataset, "classes", None) is None


def _rounded(scores: Scores) -> dict[str, float]:
    return {name: round(value, 5) for name, value in scores.summary().items() if not math.isnan(value)}


def _in_words(when: str, scores: Scores) -> str:
    return f"{when}: " + ", ".join(f"{name} {value:.4f}" for name, value in _rounded(scores).items())
