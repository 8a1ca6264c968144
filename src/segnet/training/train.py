"""Training: one flat loop, lr -> forward -> loss -> backward -> step -> log -> (every so often) evaluate, save.

A run is a folder:

    config.toml        the resolved settings
    log.jsonl          one record per few steps and per evaluation; with `train.tensorboard` also the folder tensorboard
    checkpoint.pt      all that is needed to go on; stopping anywhere, kill -9 included, changes nothing in the result
    best.safetensors   the weights of the best evaluation, with their label set, settings and scores

Several processes walk through the same lines, each with its part of every batch (`processes.py`).
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from segnet.config import Config, DataSettings, LossSettings, TrainSettings
from segnet.data import open_dataset
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.loader import TrainLoader
from segnet.data.reading.targets import require_labelled
from segnet.data.sample import Batch, Dataset
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, NonFiniteError
from segnet.inference.evaluate import evaluate
from segnet.io.files import whole_file
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores
from segnet.models.released_form import set_released_form
from segnet.nn.losses import counted, cross_entropy, dice, lovasz
from segnet.nn.recompute import recomputing
from segnet.training.batch_norm_statistics import recompute_statistics
from segnet.training.checkpoint import State, save_checkpoint, state_to_begin_with
from segnet.training.distributed import ALONE, Processes
from segnet.training.interrupt import Interrupt
from segnet.training.log import LOG_EVERY, RunLog, tensorboard_writer
from segnet.training.loss_scale import loss_scaler, take_step
from segnet.training.progress import steps_shown
from segnet.training.schedules import lr_multiplier
from segnet.training.start import create_for_dataset, reading_of
from segnet.training.sync_batch_norm import normalise_over
from segnet.version import __version__
from segnet.weights.file import WeightsCard, find_weights, load_matching, save_weights
from segnet.weights.named import DATA_TERMS
from segnet.weights.vgg16 import find_vgg16, load_vgg16


@torch.random.fork_rng(devices=[])  # the caller's own random numbers go on as if nothing had been
def fit(
    config: Config,
    out: Path | str,
    *,
    resume: bool = False,
    console: Console | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Trains a model as `config` says and keeps its best weights.

    PyTorch has one random state for all threads, so two runs at a time want two processes.

    Args:
        config: resolved settings.
        out: folder of the run, made if missing.
        resume: go on from `out/checkpoint.pt`; the result is the same as without the interruption.
        console: where the first process shows progress; None is quiet.
        processes: that train together, each in this function.

    Returns:
        Path of the kept weights, `out/best.safetensors`.

    Raises:
        ConfigError: `out` holds a run and `resume` is not set, its checkpoint is of other settings or of another
            command, the batch does not divide by the number of processes, several of them are to train in low memory,
            or TensorBoard is asked for and not installed.
        WeightsError: weights to begin with, or the checkpoint to go on from, are missing or broken.
        DataError: images missing or broken, or a file of the run cannot be written.
        LabelError: a class id that is not known, or no labelled pixel at all in a split.
        NonFiniteError: the loss is NaN or infinite, or its gradients overflow float16 at any scale; names step and
            images. The last checkpoint stays.
        SegNetError: another process ended.
        KeyboardInterrupt: by Ctrl-C; after the step in hand, whose checkpoint is then written.
    """
    out = Path(out)
    console = console if console and processes.is_first else Console(quiet=True)
    settings = config.train
    if settings.low_memory and processes.count > 1:
        raise ConfigError(
            f"train.low_memory works in one process, not in {processes.count}, whose BN has statistics in common; "
            "use --set train.low_memory=false"
        )
    state = state_to_begin_with(config, out, resume=resume)
    if settings.tensorboard:
        tensorboard_writer()
    device_spec = choose_device(settings.device, settings.precision)
    train_set, val_set = (_open(config.data, split) for split in (config.data.train_split, config.data.val_split))
    loader = TrainLoader(
        train_set,
        config.augment,
        batch_size=settings.batch_size,
        seed=settings.seed,
        workers=config.data.workers,
        part=processes.rank,
        parts=processes.count,
    )
    plan = _Plan(settings, loader.steps_per_epoch)
    run = _Run.begin(config, state, train_set, device_spec, processes)
    class_weights = _class_weights(config.loss, train_set, device_spec)
    if processes.is_first:
        with whole_file(out / "config.toml") as temporary:
            temporary.write_text(config.to_toml(), encoding="utf-8")
    batches = loader.batches(run.step, plan.num_steps)
    began, images = time.perf_counter(), 0

    with (
        RunLog(out / "log.jsonl" if processes.is_first else None, run.step, tensorboard=settings.tensorboard) as log,
        steps_shown(console) as progress,
        Interrupt(console) as interrupt,
    ):
        task = progress.add_task(
            f"{config.model.name} on {device_spec}", total=plan.num_steps, completed=run.step, note=""
        )
        while run.step < plan.num_steps:
            batch = next(batches)
            lr = plan.lr(run.step)
            loss = run.learn(batch, lr, class_weights)
            run.step += 1

            images += settings.batch_size
            speed = images / (time.perf_counter() - began)
            progress.update(task, advance=1, note=f"loss {loss:.3f}, {speed:.1f} images/s")
            if run.step % LOG_EVERY == 0:
                log.write({"step": run.step, "loss": round(loss, 5), "lr": lr, "images_per_s": round(speed, 2)})

            if plan.evaluation_is_due(run.step) and settings.statistics_pass == "every":
                recompute_statistics(run.kept_model, train_set, device_spec, settings.batch_size)  # in every process
            if plan.evaluation_is_due(run.step) and processes.is_first:
                summary = run.evaluate_and_keep(val_set, out / "best.safetensors")
                log.write({"step": run.step, "epoch": run.step / loader.steps_per_epoch, **summary})
                console.print(_in_words(f"step {run.step}", summary), soft_wrap=True)
                began, images = time.perf_counter(), 0
            stopped = processes.any(interrupt.asked)
            if (stopped or plan.checkpoint_is_due(run.step)) and processes.is_first:  # after the step's evaluation
                save_checkpoint(out / "checkpoint.pt", run.state())
            if stopped and run.step < plan.num_steps:
                interrupt.stop(out / "checkpoint.pt", run.step, plan.num_steps)

    if settings.statistics_pass == "last":  # in every process, since their BN layers meet
        recompute_statistics(run.kept_model, train_set, device_spec, settings.batch_size)
        if processes.is_first:
            summary = run.evaluate_and_keep(val_set, out / "best.safetensors")
            console.print(_in_words("after the statistics pass", summary), soft_wrap=True)
    return out / "best.safetensors"


@dataclass(frozen=True)
class _Plan:
    """What is due at which step."""

    settings: TrainSettings
    steps_per_epoch: int

    @property
    def num_steps(self) -> int:
        return self.settings.epochs * self.steps_per_epoch

    def lr(self, step: int) -> float:
        warmup_steps = round(self.settings.warmup * self.num_steps)
        return self.settings.lr * lr_multiplier(self.settings.schedule, step, self.num_steps, warmup_steps)

    def evaluation_is_due(self, step: int) -> bool:
        return step % (self.settings.evaluate_every * self.steps_per_epoch) == 0 or step == self.num_steps

    def checkpoint_is_due(self, step: int) -> bool:
        return step % self.settings.checkpoint_every == 0 or self.evaluation_is_due(step)


@dataclass
class _Run:
    """All that changes while training, and so all that a checkpoint holds."""

    config: Config
    label_set: LabelSet
    device_spec: DeviceSpec
    processes: Processes
    model: nn.Module
    average: AveragedModel | None
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best_score: float = -1.0

    @classmethod
    def begin(
        cls, config: Config, state: State | None, train_set: Dataset, device_spec: DeviceSpec, processes: Processes
    ) -> "_Run":
        """A new run, or the one whose checkpoint `state` is; weights to start from are then not read again."""
        torch.manual_seed(config.train.seed)
        settings, label_set = config.model, train_set.label_set
        model = create_for_dataset(config, train_set, measure=state is None)
        set_released_form(model, conv_bias=settings.conv_bias, bn_eps=settings.bn_eps, bn_shift=settings.bn_shift)
        if config.model.vgg16 and state is None:
            load_vgg16(model, find_vgg16(config.model.vgg16))
        if config.model.start and state is None:
            load_matching(
                model,
                find_weights(config.model.start),
                label_set,
                carry_first_layer=config.model.carry_first_layer,
            )
        normalise_over(processes, model)
        device_spec.ready(model)
        average = _moving_average(model, config.train.average) if config.train.average else None
        run = cls(
            config,
            label_set,
            device_spec,
            processes,
            model,
            average,
            optimiser=_create_optimiser(model, config.train),
            scaler=loss_scaler(device_spec),
        )
        if state is not None:
            run.take(state)
        return run

    def take(self, state: State) -> None:
        names = tuple(state.get("classes", self.label_set.names))  # checkpoints of before have none
        if names != self.label_set.names:
            raise ConfigError(
                f"this run learns the classes {', '.join(names)}; the data has now {', '.join(self.label_set.names)}; "
                "give it the labels it began with, or train into another folder"
            )
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state.get("scaler", {}))  # checkpoints of before float16 have none
        self.step = state["step"]
        self.best_score = state["best_score"]

    def state(self) -> State:
        return {
            "step": self.step,
            "best_score": self.best_score,
            "config": self.config.to_toml(),
            "classes": list(self.label_set.names),
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    @property
    def kept_model(self) -> nn.Module:
        """The model that is evaluated and kept: the average where there is one."""
        return self.average.module if self.average else self.model

    def evaluate_and_keep(self, val_set: Dataset, path: Path) -> dict[str, float]:
        """Scores the kept model and writes its weights if they are the best so far; the scores, without BF."""
        scores = evaluate(self.kept_model, val_set, self.device_spec, boundaries=False)
        summary = {name: value for name, value in scores.summary().items() if not math.isnan(value)}
        keep = self.config.train.keep
        score = float(self.step) if keep == "last" else summary[keep]
        if score >= self.best_score:
            self.best_score = score
            self._save(path, scores)
        return {name: round(value, 5) for name, value in summary.items()}

    def _save(self, path: Path, scores: Scores) -> None:
        card = WeightsCard(
            model=self.config.model.name,
            normalisation=self.config.model.normalisation,
            conv_bias=self.config.model.conv_bias,
            bn_eps=self.config.model.bn_eps,
            bands=self.config.data.bands or (),
            value_range=self.config.data.value_range,
            label_set=self.label_set,
            recipe=self.config.to_toml(),
            scores=scores.summary(),
            class_iou=scores.class_iou(),
            trained_on=f"{self.config.data.train_split} of {self.label_set.name}",
            licence=self.config.model.licence,
            data_terms=DATA_TERMS.get(self.label_set.name, ""),
            version=__version__,
        )
        save_weights(path, self.kept_model, card)

    def learn(self, batch: Batch, lr: float, class_weights: Tensor | None) -> float:
        """Forward, loss, backward, step; in float16 the step is left out where its gradients overflow.

        Raises:
            NonFiniteError: the loss is NaN or infinite, or its gradients overflow at any scale; the weights are as they
                were.
        """
        self.model.train()
        chance = np.random.SeedSequence([self.config.train.seed, self.step, self.processes.rank])
        torch.manual_seed(int(chance.generate_state(1)[0]))  # of dropout: so there is no random state to keep
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["lr_factor"]
        image = batch.image.to(self.device_spec.device, memory_format=torch.channels_last)
        target = batch.target.to(self.device_spec.device)
        with self.device_spec.autocast(), recomputing(self.config.train.low_memory):
            logits = self._logits(image)
        loss = _loss(logits.float(), target, class_weights, self.config.loss, self.processes)
        del logits  # else kept through the backward pass
        value = self.processes.sum(loss.detach()).item()
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the loss is {value} {self._where(batch)}; "
                "lower train.lr, or look at these images with `segnet data check`"
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.processes.sum_gradients(self.model)  # an overflow in one process is then one in all
        taken = take_step(self.scaler, self.optimiser, lambda: self._where(batch))
        if taken and self.average is not None:
            self.average.update_parameters(self.model)
        return value

    def _logits(self, image: Tensor) -> Tensor:
        """(N, K, H, W).

        Raises:
            ConfigError: a map has one value per channel, which has no variance to normalise by.
        """
        try:
            logits: Tensor = self.model(image)
        except ValueError as cause:
            if "more than 1 value per channel" not in str(cause):
                raise
            raise ConfigError(
                f"{len(image)} image of {image.shape[2]}x{image.shape[3]} pixels leaves batch normalisation one "
                "value per channel; raise train.batch_size, or train on larger images or pieces (augment.crop_px)"
            ) from None
        return logits

    def _where(self, batch: Batch) -> str:
        return f"at step {self.step} on {', '.join(self.processes.names(batch.names))}"


def _open(data: DataSettings, split: str) -> Dataset:
    dataset = open_dataset(data.path, split, data.format, reading=reading_of(data))
    require_labelled(dataset)
    return dataset


def _in_words(when: str, summary: dict[str, float]) -> str:
    return f"{when}: " + ", ".join(f"{name} {value:.4f}" for name, value in summary.items())


def _loss(
    logits: Tensor, target: Tensor, class_weights: Tensor | None, settings: LossSettings, processes: Processes
) -> Tensor:
    """What our part of the batch adds to the loss of the whole; alone, that is the loss."""
    step = settings.stride_px
    logits, target = logits[:, :, ::step, ::step], target[:, ::step, ::step]
    own = counted(target, class_weights, settings.normalise_by)
    share = own / processes.sum(own).clamp_min(torch.finfo(torch.float32).tiny)
    loss = share * cross_entropy(logits, target, class_weights, settings.normalise_by)
    if settings.dice:
        loss = loss + settings.dice * dice(logits, target) / processes.count
    if settings.lovasz:
        loss = loss + settings.lovasz * lovasz(logits, target) / processes.count
    return loss


def _create_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """One group for each learning rate and decay: encoder or not, and filters, biases of convolutions, BN's two."""
    encoder = {id(p) for p in model.get_submodule("encoder").parameters()}
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    scales, shifts = {id(norm.weight) for norm in norms}, {id(norm.bias) for norm in norms}
    bn = scales | shifts
    decayed_bn = {"filters": set(), "filters_and_bn_scale": scales, "filters_and_bn": bn}[settings.decay_on]
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        is_filter = parameter.dim() > 1
        is_bias = not is_filter and id(parameter) not in bn
        factor = settings.encoder_lr_factor if id(parameter) in encoder else 1.0
        factor *= settings.bias_lr_factor if is_bias else 1.0
        decay = settings.weight_decay if is_filter or id(parameter) in decayed_bn else 0.0
        members.setdefault((factor, decay), []).append(parameter)
    groups = [{"params": params, "lr_factor": f, "weight_decay": d} for (f, d), params in members.items()]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.lr)


def _class_weights(settings: LossSettings, train_set: Dataset, device_spec: DeviceSpec) -> Tensor | None:
    if settings.class_weights == "none":
        return None
    weights = median_frequency(
        count_frequencies(train_set), with_void=settings.class_weights == "median_frequency_void"
    ).to(device_spec.device)
    return weights.sqrt() if settings.class_weights == "sqrt_median_frequency" else weights


def _moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and BN statistics; shorter at first, so it does not lag."""

    def blend(kept: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        if not kept.is_floating_point():
            return new
        return torch.lerp(kept, new, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return AveragedModel(model, avg_fn=blend, use_buffers=True)
