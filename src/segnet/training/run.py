"""All that changes during training: model, average, optimiser and scores; a checkpoint holds it whole."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from segnet.config import Config, FitConfig
from segnet.data.sample import Batch, Dataset
from segnet.device import DeviceSpec
from segnet.errors import ConfigError, LabelError, NonFiniteError, WeightsError
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores
from segnet.models.widths import widths_of
from segnet.nn.layers import ConvBN
from segnet.nn.losses import distillation
from segnet.nn.recompute import recomputing
from segnet.training.callbacks import Callbacks
from segnet.training.checkpoint import State
from segnet.training.distributed import Processes
from segnet.training.loss_scale import loss_scaler, take_step
from segnet.training.objective import Objective
from segnet.training.optimiser import create_optimiser, moving_average
from segnet.training.parallel import ParallelModel
from segnet.training.split_evaluation import evaluate_split
from segnet.training.sync_batch_norm import normalise_over
from segnet.training.teacher import Teacher
from segnet.weights.file import WeightsCard, read_card, save_weights

_LARGEST_WEIGHT = 65504.0  # of float16, in which filters are stored; weights of a run that converges stay far below


@dataclass
class Run:
    """A run between two steps.

    Attributes:
        config: its settings.
        card: of its weights; scores are added when they are measured.
        label_set: of its classes.
        device_spec: device and precision.
        processes: that train together.
        objective: what is minimised.
        callbacks: of the caller; their state is part of a checkpoint.
        model: that is trained.
        parallel: the same model as a step calls it: gradients are sums over all processes.
        average: of its weights; None where settings ask for none.
        optimiser: of its parameters.
        scaler: of the loss, for float16.
        step: steps that were taken.
        best_score: of the weights that are kept; -1 while there are none.
        ended: why a callback ended the run; None while none did.
        teacher: that the model learns from in addition to the labels; None for none.
    """

    config: Config | FitConfig
    card: WeightsCard
    label_set: LabelSet
    device_spec: DeviceSpec
    processes: Processes
    objective: Objective
    callbacks: Callbacks
    model: nn.Module
    parallel: ParallelModel
    average: AveragedModel | None
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best_score: float = -1.0
    ended: str | None = None
    teacher: Teacher | None = None

    @classmethod
    def begin(
        cls,
        config: Config | FitConfig,
        card: WeightsCard,
        model: nn.Module,
        objective: Objective,
        callbacks: Callbacks,
        device_spec: DeviceSpec,
        processes: Processes,
        state: State | None,
    ) -> "Run":
        """A new run, or the one whose checkpoint `state` is.

        Raises:
            ConfigError: a checkpoint of other classes, or settings that the model has no parameters for.
            WeightsError: a checkpoint of another model.
        """
        if config.train.low_memory and not any(isinstance(module, ConvBN) for module in model.modules()):
            raise ConfigError(
                f"train.low_memory: expected a model built of segnet.nn's ConvBN, whose maps can be recomputed, got "
                f"{type(model).__name__} without one; leave it out, or use torch.utils.checkpoint inside the model"
            )
        normalise_over(processes, model, device_spec.device, low_memory=config.train.low_memory)
        device_spec.ready(model)
        parallel = ParallelModel(model, processes)  # before the average is copied: it makes all processes begin alike
        run = cls(
            config,
            card,
            card.label_set,
            device_spec,
            processes,
            objective,
            callbacks,
            model,
            parallel,
            moving_average(model, config.train.average) if config.train.average else None,
            optimiser=create_optimiser(model, config.train),
            scaler=loss_scaler(device_spec),
        )
        if state is not None:
            run.take(state)
        return run

    def take(self, state: State) -> None:
        """Continues from a checkpoint; errors as in `begin`."""
        names = tuple(state.get("classes", self.label_set.names))  # older checkpoints have none
        if names != self.label_set.names:
            raise ConfigError(
                f"this run learns the classes {', '.join(names)}; the data has now {', '.join(self.label_set.names)}; "
                "give it the labels it began with, or train into another folder"
            )
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as cause:
            first = str(cause).splitlines()[1].strip() if "\n" in str(cause) else str(cause)
            raise WeightsError(
                f"the checkpoint is of another model than this {type(self.model).__name__} ({first:.150}); "
                "build the model as before, or train into another folder"
            ) from None
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state.get("scaler", {}))  # checkpoints from before float16 was supported have none
        self.callbacks.take(state.get("callbacks", []))
        self.step = state["step"]
        self.best_score = state["best_score"]
        self.ended = state.get("ended")

    def state(self) -> State:
        """All that a checkpoint holds."""
        return {
            "step": self.step,
            "best_score": self.best_score,
            "ended": self.ended,
            "config": self.config.to_toml(),
            "classes": list(self.label_set.names),
            "widths": widths_of(self.model),
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "callbacks": self.callbacks.state(),
        }

    @property
    def kept_model(self) -> nn.Module:
        """The model that is evaluated and kept: the average where there is one."""
        return self.average.module if self.average else self.model

    def learn(self, batches: Sequence[Batch], lr: float) -> float:
        """One step: forward, loss and backward for each batch, then the step; in float16 it is left out on overflow.

        Args:
            batches: of the step, this process's part of each.
            lr: learning rate.

        Returns:
            The loss.

        Raises:
            NonFiniteError: the loss is NaN or infinite, or its gradients overflow at any scale; the weights are as they
                were.
            ShapeError: the model does not give logits for the images.
            ConfigError: a map has one value per channel, which has no variance to normalise by.
        """
        self.model.train()  # an evaluation may have come between
        seeds = np.random.SeedSequence([self.config.train.seed, self.step, self.processes.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))  # of dropout: so there is no random state to keep
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["lr_factor"]
        self.optimiser.zero_grad(set_to_none=True)
        targets = [batch.target.to(self.device_spec.device) for batch in batches]
        total = self.processes.sum(torch.stack([self.objective.counted(target) for target in targets]).sum())
        value = 0.0
        for batch, target in zip(batches, targets, strict=True):
            with self.parallel.accumulating(batch is not batches[-1]):
                loss = self._loss(batch, target, total, parts=self.processes.count * len(batches))
                # checked before backward: a bad batch must not reach the weights
                value += self.processes.sum(loss.detach()).item()
                if not math.isfinite(value):
                    raise NonFiniteError(
                        f"diverged {self._where([batch])}: the loss is {value}; {self._remedy(lr)}, or look at these "
                        "images with `segnet data check`"
                    )
                with self.processes.transferring():  # an overflow in one process is then one in all
                    self.scaler.scale(loss).backward()
        self._clip()
        taken = take_step(self.scaler, self.optimiser, lambda: self._where(batches))
        if taken and self.average is not None:
            self.average.update_parameters(self.model)
        return value

    def _loss(self, batch: Batch, target: Tensor, total: Tensor, parts: int) -> Tensor:
        """What one batch adds to the loss of a step; arguments as in `Objective`."""
        image = batch.image.to(self.device_spec.device, memory_format=torch.channels_last)
        with self.device_spec.autocast(), recomputing(self.config.train.low_memory):
            logits = self._logits(image)
        loss = self.objective(logits.float(), target, total, parts)
        if self.teacher is not None:
            settings, guide = self.config.loss, self.teacher.logits(image)
            loss = loss + settings.distillation * distillation(logits, guide, settings.temperature) / parts
        return loss

    def _clip(self) -> None:
        if self.config.train.clip_grad_norm:
            self.scaler.unscale_(self.optimiser)  # the norm is that of the gradients, not of the scaled ones
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_grad_norm)

    def _logits(self, image: Tensor) -> Tensor:
        try:
            return self.parallel.logits(image, self.label_set.num_classes)
        except ValueError as cause:
            if "more than 1 value per channel" not in str(cause):
                raise
            raise ConfigError(
                f"{len(image)} image of {image.shape[2]}x{image.shape[3]} pixels leaves batch normalisation one "
                "value per channel; raise train.batch_size, or train on larger images or crops (augment.crop_px)"
            ) from None

    def _where(self, batches: Sequence[Batch]) -> str:
        names = tuple(name for batch in batches for name in batch.names)
        return f"at step {self.step} on {', '.join(self.processes.names(names))}"

    def _remedy(self, lr: float) -> str:
        clip = "" if self.config.train.clip_grad_norm else ", set train.clip_grad_norm=1"
        return f"lower train.lr (it was {lr:g}){clip}"

    def evaluate_and_keep(self, val_set: Dataset, path: Path, lr: float) -> tuple[Scores, bool]:
        """Scores the kept model, and the first process writes its weights if they are the best so far.

        Args:
            val_set: labelled.
            path: of the weights.
            lr: of the last step, for messages.

        Returns:
            The scores, without boundary F1, and whether the weights are the best; in every process.

        Raises:
            NonFiniteError: a weight is not finite, or too large for any useful model.
            LabelError: no labelled pixel.
        """
        for name, parameter in self.kept_model.named_parameters():
            largest = parameter.detach().abs().max().item() if parameter.numel() else 0.0
            if not largest <= _LARGEST_WEIGHT:  # also for NaN
                raise NonFiniteError(
                    f"diverged at step {self.step}: {name} has reached {largest:.3g}; {self._remedy(lr)}; the weights "
                    "that were kept before stay"
                )
        scores = self._evaluate(self.kept_model, val_set, boundaries=False)
        keep = self.config.train.keep
        score = float(self.step) if keep == "last" else scores.summary()[keep]
        if math.isnan(score):
            raise LabelError(f"{keep} is undefined: no labelled pixel in the validation images; check their labels")
        is_best = score >= self.best_score
        if is_best:
            self.best_score = score
        if is_best and self.processes.is_first:
            card = replace(self.card, scores=scores.summary(), class_iou=scores.class_iou())
            save_weights(path, self.kept_model, card)
        return scores, is_best

    def _evaluate(self, model: nn.Module, val_set: Dataset, *, boundaries: bool) -> Scores:
        side = self.card.longest_side_px
        return evaluate_split(
            self.processes, model, val_set, self.device_spec, boundaries=boundaries, longest_side_px=side
        )

    def complete_card(self, val_set: Dataset, path: Path) -> None:
        """Scores the weights in the file, boundaries too, and writes the scores into their card.

        The file's filters are float16, so these are the scores that anybody measures again. A run that is never
        evaluated keeps its last weights here, without scores. The first process alone reads and writes the file.
        """
        if not self.config.train.evaluate_every:
            if self.processes.is_first:
                save_weights(path, self.kept_model, self.card)
            return
        stored = copy.deepcopy(self.kept_model)
        stored.load_state_dict(self.processes.from_first(lambda: load_file(path)))
        scores = self._evaluate(stored, val_set, boundaries=True)
        if self.processes.is_first:
            card = replace(read_card(path), scores=scores.summary(), class_iou=scores.class_iou())
            save_weights(path, stored, card)
