"""Short measurements before a run: how long a step and an evaluation take, and which start learns fastest."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from torch import nn

from segnet.config import Config
from segnet.data.loader import TrainLoader, collate
from segnet.data.sample import Dataset, Sample
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError
from segnet.inference.evaluate import evaluate
from segnet.labels import LabelSet
from segnet.nn.logits import logits_of
from segnet.nn.losses import cross_entropy
from segnet.training.auto_config import Start, Tried
from segnet.training.batch_norm_statistics import recompute_statistics
from segnet.training.callbacks import Callbacks
from segnet.training.distributed import ALONE
from segnet.training.objective import Objective, class_weights_of
from segnet.training.progress import duration
from segnet.training.recipe import build_model, open_sets
from segnet.training.run import Run
from segnet.training.start import widths_to_start_with
from segnet.training.train import Plan
from segnet.weights.file import WeightsCard

_TIMED_STEPS, _TIMED_IMAGES = 5, 2
_ROUGH_STEPS, _ROUGH_IMAGES = 2, 1
_EVALUATIONS = 5
_SHARE_OF_EVALUATIONS = 0.3
_LEAST_STEPS = 10
_STEPS_TO_LEARN = 100  # fewer on larger images teach less (docs/training.md)
_LEAST_PX = 72 * 96
_VAL_IMAGES = 8
SHARE_OF_TRIALS = 0.1  # of the steps of a run
LEAST_TRIAL_STEPS = 6
MOST_TRIAL_STEPS = 24


@dataclass(frozen=True)
class Times:
    """How long the parts of a run take on this machine.

    Attributes:
        step_s: of a training step.
        evaluation_s: of all validation images, without boundary F1.
        scoring_s: of the same with boundary F1, as after the last step.
        start_s: of reading all training labels once, for the class weights.
        steps_per_epoch: of the training set.
    """

    step_s: float
    evaluation_s: float
    scoring_s: float
    start_s: float
    steps_per_epoch: int

    def expected_s(self, config: Config) -> float:
        """Of a whole run and the report after it."""
        plan = Plan(config.train, self.steps_per_epoch)
        return (
            self.start_s
            + plan.num_steps * self.step_s
            + _evaluations(plan) * self.evaluation_s
            + 2 * self.scoring_s  # once for the card of the weights, once for the report
        )

    def line(self, config: Config) -> str:
        """The expected time in words."""
        plan = Plan(config.train, self.steps_per_epoch)
        return (
            f"time: about {duration(self.expected_s(config))}: {plan.num_steps} steps of {self.step_s:.2g} s and "
            f"{_evaluations(plan)} evaluations of {duration(self.evaluation_s)}, measured on this machine as it is now"
        )


@torch.random.fork_rng(devices=[])
def measure_times(config: Config, *, roughly: bool = False) -> Times:
    """Takes a few steps and predicts a few validation images; nothing is written.

    Args:
        config: resolved settings.
        roughly: by as little as possible.

    Raises:
        SegNetError: what the run itself would raise at its first step.
    """
    train_set, val_set = open_sets(config)
    run, loader = _unlearnt(config, train_set), _loader(config, train_set)
    num_steps, num_images = (_ROUGH_STEPS, _ROUGH_IMAGES) if roughly else (_TIMED_STEPS, _TIMED_IMAGES)
    reading, step_s = _time_steps(config, run, loader, num_steps)
    images_per_step = config.train.batch_size * config.train.accumulate
    seconds = {}
    for boundaries in (False, True):
        began = time.perf_counter()
        evaluate(
            run.model,
            _First(val_set, num_images),
            run.device_spec,
            boundaries=boundaries,
            longest_side_px=config.data.longest_side_px,
        )
        seconds[boundaries] = (time.perf_counter() - began) / min(num_images, len(val_set)) * len(val_set)
    start_s = 0.0
    if config.loss.class_weights != "none":
        start_s = reading / images_per_step * len(train_set)
    return Times(step_s, seconds[False], max(seconds.values()), start_s, loader.steps_per_epoch)


def _unlearnt(config: Config, train_set: Dataset) -> Run:
    return _throwaway(
        config, build_model(config, train_set, widths_to_start_with(config), with_weights=False), train_set
    )


def _time_steps(config: Config, run: Run, loader: TrainLoader, num_steps: int = _TIMED_STEPS) -> tuple[float, float]:
    """Seconds to read the images of a step, and of the whole step."""
    batches, read_s, learn_s = loader.batches(0, num_steps), list[float](), list[float]()
    for step in range(min(num_steps, loader.steps_per_epoch)):
        began = time.perf_counter()
        given = [next(batches) for _ in range(config.train.accumulate)]
        read = time.perf_counter()
        run.learn(given, Plan(config.train, loader.steps_per_epoch).lr(step))
        read_s.append(read - began)
        learn_s.append(time.perf_counter() - read)
    # Readers work ahead of the step, which the slower of the two then sets. The first step warms up; a mean of the
    # others, as a busy machine stays busy.
    reading, learning = mean(read_s[1:] or read_s), mean(learn_s[1:] or learn_s)
    return reading, max(learning, reading / config.data.workers) if config.data.workers else learning + reading


def within_minutes(config: Config, times: Times, minutes: float, *, spent_s: float = 0.0) -> Config:
    """The settings with a schedule that fits into a time.

    Args:
        config: whose number of steps and of evaluations is replaced.
        times: measured with it.
        minutes: for the whole run and its report.
        spent_s: of that time, on what was measured before.

    Raises:
        ConfigError: the time is too short for ten steps; says how long those take.
    """
    steps, evaluations = _fitting(times, minutes, spent_s)
    if steps < _LEAST_STEPS:
        least_s = spent_s + times.start_s + 2 * times.scoring_s + times.evaluation_s + _LEAST_STEPS * times.step_s
        raise ConfigError(
            f"--minutes {minutes:g}: reading the labels, {_LEAST_STEPS} steps and the scores take "
            f"{duration(least_s)} on this machine; allow at least {math.ceil(least_s / 60)}, or use fewer validation "
            "images"
        )
    epochs = math.ceil(steps / times.steps_per_epoch)
    changed = {"epochs": epochs, "max_steps": steps, "evaluate_every": max(math.ceil(epochs / evaluations), 1)}
    return config.model_copy(update={"train": config.train.model_copy(update=changed)})


def pixels_within(config: Config, times: Times, minutes: float, *, spent_s: float = 0.0) -> int | None:
    """Pixels of a training image for which a time has enough steps to learn something; None where it has them anyway.

    Args:
        config: with a crop.
        times: measured with it.
        minutes: for the whole run and its report.
        spent_s: of that time, on what was measured before.
    """
    steps, _ = _fitting(times, minutes, spent_s)
    if steps >= _STEPS_TO_LEARN or config.augment.crop_px is None:
        return None
    return max(math.prod(config.augment.crop_px) * max(steps, 0) // _STEPS_TO_LEARN, _LEAST_PX)


def _fitting(times: Times, minutes: float, spent_s: float) -> tuple[int, int]:
    """Steps and evaluations that fit into a time, after what comes before and after them; steps may be below 0."""
    left_s = minutes * 60 - spent_s - times.start_s - 2 * times.scoring_s
    evaluations = min(max(int(_SHARE_OF_EVALUATIONS * left_s / max(times.evaluation_s, 1e-9)), 1), _EVALUATIONS)
    return int((left_s - evaluations * times.evaluation_s) / max(times.step_s, 1e-9)), evaluations


@torch.random.fork_rng(devices=[])
def try_starts(
    configs: Sequence[tuple[Start | None, Config]], num_steps: int, limit_s: float = math.inf
) -> Tried | None:
    """Trains from each start for a few steps, each by a whole schedule of that length, and compares what was learnt.

    Args:
        configs: starts, None for no weights, with the settings of a run from each.
        num_steps: for each, at most.
        limit_s: for all of it; fewer steps are taken where `num_steps` would last longer.

    Returns:
        The start with the lowest cross entropy on some validation images; None if the time allows too few steps.
    """
    if limit_s < math.inf:
        step_s = max(_step_s(config) for _, config in configs)
        num_steps = min(num_steps, int(limit_s / len(configs) / step_s))
    if num_steps < LEAST_TRIAL_STEPS:
        return None
    losses = []
    for start, whole in configs:
        changed = {"max_steps": num_steps, "average": 0.0}
        config = whole.model_copy(update={"train": whole.train.model_copy(update=changed)})
        train_set, val_set = open_sets(config)
        run = _throwaway(config, build_model(config, train_set, widths_to_start_with(config)), train_set, weigh=True)
        loader = _loader(config, train_set)
        plan = Plan(config.train, loader.steps_per_epoch)
        for step, batch in enumerate(loader.batches(0, plan.num_steps)):
            run.learn([batch], plan.lr(step))
            run.step += 1
        # Running averages of so few steps are still those of the start.
        recompute_statistics(run.model, _First(train_set, 2 * _VAL_IMAGES), run.device_spec, batch_size=1)
        losses.append((_val_loss(run.model, val_set, run.device_spec), start))
    winner = min(losses, key=lambda pair: pair[0])[1]
    told = ", ".join(f"{start.title if start else 'no weights'} {loss:.3f}" for loss, start in losses)
    return Tried(winner, f"start: {num_steps} steps from each; cross entropy on validation images: {told}")


@torch.random.fork_rng(devices=[])
def _step_s(config: Config) -> float:
    train_set, _ = open_sets(config)
    return _time_steps(config, _unlearnt(config, train_set), _loader(config, train_set))[1]


def _evaluations(plan: Plan) -> int:
    return sum(map(plan.evaluation_is_due, range(1, plan.num_steps + 1)))


def _loader(config: Config, train_set: Dataset) -> TrainLoader:
    settings = config.train
    return TrainLoader(
        train_set,
        config.augment,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        seed=settings.seed,
    )


def _throwaway(config: Config, model: nn.Module, train_set: Dataset, *, weigh: bool = False) -> Run:
    """A run that is never saved."""
    device_spec = choose_device(config.train.device, config.train.precision)
    weights = class_weights_of(config.loss, _First(train_set, 64), device_spec) if weigh else None
    objective, card = Objective(config.loss, weights), WeightsCard(config.model.name, train_set.label_set)
    return Run.begin(config, card, model, objective, Callbacks(()), device_spec, ALONE, None)


@torch.inference_mode()
def _val_loss(model: nn.Module, val_set: Dataset, device_spec: DeviceSpec) -> float:
    """Mean cross entropy over some validation images, read one by one; infinite where it is not a number."""
    model.eval()
    step = max(len(val_set) // _VAL_IMAGES, 1)
    values = []
    for index in range(0, len(val_set), step):
        batch = collate([val_set[index]])
        with device_spec.autocast():
            logits = logits_of(model, batch.image.to(device_spec.device))
        values.append(cross_entropy(logits.float().cpu(), batch.target).item())
    value = mean(values)
    return value if math.isfinite(value) else math.inf


class _First:
    """The first samples of a dataset."""

    label_set: LabelSet

    def __init__(self, dataset: Dataset, count: int) -> None:
        self.dataset, self.names = dataset, dataset.names[:count]
        self.label_set = dataset.label_set

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        return self.dataset[index]
