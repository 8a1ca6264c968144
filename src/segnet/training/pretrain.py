"""Training without labels: an autoencoder learns to reconstruct images, layer by layer or all stages at once.

One flat loop, lr -> forward -> loss -> backward -> step -> log -> (each epoch) measure, save. Layer by layer, stage n
reconstructs its input, while the stages before it are frozen and those after it are unused. A run is a folder
as in `train.py`; `best.safetensors` holds the weights of the last whole epoch, ready for `model.start`.

Source:
    SegNet, section 2, on Ranzato et al. 2007: unsupervised, layer by layer, reconstruction of the input.

Deviates:
    Gradients of the mean squared error alone train encoder and decoder together, on whole images; the earlier models
    used small patches.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console

from segnet.config import PretrainConfig
from segnet.data.datasets.unlabelled import RGB, Images, open_images
from segnet.data.loader import TrainLoader
from segnet.data.resizing import Resized
from segnet.data.sample import Batch, Dataset
from segnet.device import DeviceSpec, choose_device
from segnet.errors import NonFiniteError
from segnet.io.files import whole_file
from segnet.models.autoencoder import Autoencoder
from segnet.training.checkpoint import State, save_checkpoint, state_to_begin_with
from segnet.training.data_look import with_range_of_values
from segnet.training.interrupt import Interrupt
from segnet.training.log import LOG_EVERY, RunLog
from segnet.training.loss_scale import loss_scaler, take_step
from segnet.training.progress import StepsShown
from segnet.training.reconstruction import Rebuilt, Span, given_to, measure, spans_of_training
from segnet.training.schedules import lr_multiplier
from segnet.training.start import reading_of
from segnet.version import __version__
from segnet.weights.file import WeightsCard, save_weights


def pretrain(config: PretrainConfig, out: Path, *, resume: bool = False, console: Console | None = None) -> Path:
    """Trains the autoencoder on images as `config` says.

    Args:
        config: resolved settings.
        out: folder of the run, made if missing.
        resume: resume from `out/checkpoint.pt`; the result is the same as without the interruption.
        console: shows progress; None shows nothing.

    Returns:
        Path of the weights, `out/best.safetensors`.

    Raises:
        ConfigError: `out` holds a run and `resume` is not set, or its checkpoint is of other settings or of another
            command.
        WeightsError: the checkpoint to resume from is missing or broken.
        DataError: no image, a broken one, or a file of the run cannot be written.
        NonFiniteError: the loss is NaN or infinite, or its gradients overflow float16 at any scale; names step and
            images. The last checkpoint stays.
        KeyboardInterrupt: by Ctrl-C, after the current step and its checkpoint.
    """
    console = console or Console(quiet=True)
    settings = config.train
    config, _ = with_range_of_values(config)
    state = state_to_begin_with(config, out, resume=resume)
    device_spec = choose_device(settings.device, settings.precision)
    images = _open(config, config.data.train_split)
    watched = watched_images(config)
    loader = TrainLoader(
        images,
        config.augment,
        batch_size=settings.batch_size,
        seed=settings.seed,
        workers=config.data.workers,
    )
    spans = spans_of_training(layerwise=settings.layerwise)
    steps_per_span = settings.epochs * loader.steps_per_epoch
    num_steps = len(spans) * steps_per_span
    run = _Run.begin(config, device_spec)
    if state is not None:
        run.take(state)

    with whole_file(out / "config.toml") as temporary:
        temporary.write_text(config.to_toml(), encoding="utf-8")
    batches = loader.batches(run.step, num_steps)
    began, seen = time.perf_counter(), 0

    with (
        RunLog(out / "log.jsonl", run.step) as log,
        StepsShown(console, f"autoencoder on {device_spec}", num_steps, run.step) as shown,
        Interrupt(console) as interrupt,
    ):
        while run.step < num_steps:
            batch = next(batches)
            span = spans[run.step // steps_per_span]
            step_of_span = run.step % steps_per_span
            warmup_steps = round(settings.warmup * steps_per_span)
            lr = settings.lr * lr_multiplier(settings.schedule, step_of_span, steps_per_span, warmup_steps)
            loss = run.learn(batch, span, lr)
            run.step += 1

            seen += len(batch.names)
            speed = seen / (time.perf_counter() - began)
            shown.update(run.step, f"{span}, loss {loss:.4f}, {speed:.1f} images/s")
            if run.step % LOG_EVERY == 0:
                record = {"step": run.step, "stages": span, "loss": loss, "lr": lr}
                log.write({**record, "images_per_s": round(speed, 2)})

            epoch_is_over = run.step % loader.steps_per_epoch == 0
            if epoch_is_over:
                rebuilt = measure(run.model, watched, device_spec, span)
                epoch = run.step / loader.steps_per_epoch
                log.write({"step": run.step, "epoch": epoch, "stages": span, **_rounded(rebuilt)})
                console.print(
                    f"step {run.step}, {span}: mean squared error {rebuilt.mean_squared_error:.4f}, "
                    f"lost {100 * rebuilt.lost_share:.1f} %"
                )
                _save(out / "best.safetensors", run.model, config)
                began, seen = time.perf_counter(), 0
            stopped = interrupt.asked
            if stopped or epoch_is_over or run.step % settings.checkpoint_every == 0:
                save_checkpoint(out / "checkpoint.pt", run.state())
            if stopped and run.step < num_steps:
                interrupt.stop(out / "checkpoint.pt", run.step, num_steps)
    return out / "best.safetensors"


def watched_images(config: PretrainConfig) -> Dataset:
    """The images that are measured and shown: the validation split, or those of a folder, which are trained on too."""
    return _open(config, config.data.val_split)


def _open(config: PretrainConfig, split: str) -> Dataset:
    data = config.data
    images = open_images(data.path, split, data.format, reading=reading_of(data))
    return Resized(images, data.longest_side_px) if data.longest_side_px else images


def learns_from_what_it_watches(dataset: Dataset) -> bool:
    """Whether the watched images are a plain folder's own."""
    return isinstance(dataset.dataset if isinstance(dataset, Resized) else dataset, Images)


@dataclass
class _Run:
    """All that changes during training, and so all that a checkpoint holds.

    One optimiser serves all spans: AdamW passes over parameters that have no gradient.
    """

    config: PretrainConfig
    device_spec: DeviceSpec
    model: Autoencoder
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0

    @classmethod
    def begin(cls, config: PretrainConfig, device_spec: DeviceSpec) -> "_Run":
        torch.manual_seed(config.train.seed)
        model = Autoencoder(RGB.num_classes, normalisation=config.model.normalisation)
        device_spec.ready(model)
        optimiser = torch.optim.AdamW(model.parameters(), config.train.lr, weight_decay=config.train.weight_decay)
        return cls(config, device_spec, model, optimiser, loss_scaler(device_spec))

    def take(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state.get("scaler", {}))  # checkpoints from before float16 was supported have none
        self.step = state["step"]

    def state(self) -> State:
        return {
            "step": self.step,
            "config": self.config.to_toml(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def learn(self, batch: Batch, span: Span, lr: float) -> float:
        """Forward, loss, backward, step; in float16 the step is left out where its gradients overflow.

        Raises:
            NonFiniteError: the loss is NaN or infinite, or its gradients overflow at any scale; the weights are as they
                were.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        image = batch.image.to(self.device_spec.device, memory_format=torch.channels_last)
        with self.device_spec.autocast():
            with torch.no_grad():
                given = given_to(self.model, image, span)
            rebuilt = self.model.reconstruct(given, *span)
        loss = F.mse_loss(rebuilt.float(), given.float())
        value = loss.item()
        where = f"at step {self.step} ({span}) on {', '.join(batch.names)}"
        if not math.isfinite(value):
            raise NonFiniteError(f"the loss is {value} {where}; lower train.lr, or look at these images")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        take_step(self.scaler, self.optimiser, lambda: where)
        return value


def _rounded(rebuilt: Rebuilt) -> dict[str, float]:
    return {name: round(value, 6) for name, value in rebuilt._asdict().items()}


def _save(path: Path, model: Autoencoder, config: PretrainConfig) -> None:
    card = WeightsCard(
        model="autoencoder",
        bands=config.data.bands or (),
        value_range=config.data.value_range,
        longest_side_px=config.data.longest_side_px,
        label_set=RGB,
        recipe=config.to_toml(),
        trained_on=f"{config.data.path}, without labels",
        licence=config.model.licence,
        version=__version__,
    )
    save_weights(path, model, card)
