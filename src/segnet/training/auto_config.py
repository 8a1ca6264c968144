"""Settings for a run of which only the dataset is given: scale, model, crop, batch and schedule, by simple rules.

One pure function, so that the same facts always give the same run. The rules come from the runs
behind the weights that ship: crops of 180x240 train on two cores within minutes to hours, fine-tuning needs a few
hundred steps, and the memory of a training step was measured (`segnet benchmark training`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segnet.config import Config
from segnet.data.resizing import size_within
from segnet.models import TENT_MODELS
from segnet.nn.normalisation import Normalisation

_CROP_PX = {"small": 180 * 240, "large": 240 * 320, "gpu": 360 * 480}
_STEPS = {"small": 600, "large": 1500, "gpu": 6000}
_LARGEST_BATCH = {"small": 4, "large": 8, "gpu": 16}
_LARGE_CORES = 8
_KIB_PER_PX = {"segnet": 5.6, "segnet-basic": 2.3}  # a training step in float32
_KIB_PER_PX_ELSE = 9.0
_MOST_EPOCHS = 200
_GPU_GIB_FOR_SEGNET = 6
_LARGE_SIDE_PX = 1500
_OBJECT_PX = 48  # to which the smaller objects may shrink: what they are is still seen in all stages of pooling
_SHORT_OBJECT_PX = 12  # the same where there is time for few steps only
_WORTH_RESIZING = 0.8
_FREE_SHARE = 0.75  # of the cores, from which on PyTorch's own number of threads is kept


@dataclass(frozen=True)
class DataFacts:
    """The properties of a training split that the rules use.

    Attributes:
        num_images: at least 1.
        size_px: median (height, width) of the images sampled.
        class_names: of its label set.
        object_px: side of the smaller objects (the lower quartile), in pixels; None where there is none.
    """

    num_images: int
    size_px: tuple[int, int]
    class_names: tuple[str, ...]
    object_px: float | None = None


@dataclass(frozen=True)
class MachineFacts:
    """The properties of a machine that the rules use.

    Attributes:
        device: `cpu` or `cuda`.
        cores: that this process may use.
        memory_gib: of the GPU, or of the machine.
        load: processes that want a core, as the system reports it; 0 where it does not.
    """

    device: str
    cores: int
    memory_gib: float
    load: float = 0.0

    @property
    def kind(self) -> str:
        """`gpu`, `large` or `small`."""
        return "gpu" if self.device == "cuda" else "large" if self.cores >= _LARGE_CORES else "small"


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        name: of the weights.
        model: their model.
        normalisation: of its input.
        class_names: of its label set; none for ImageNet's.
        is_vgg16: whether they are ImageNet's VGG16, for the encoder alone.
    """

    name: str
    model: str
    normalisation: Normalisation | None
    class_names: tuple[str, ...]
    is_vgg16: bool = False

    @property
    def title(self) -> str:
        """The weights in words."""
        return f"ImageNet's VGG16 ({self.name})" if self.is_vgg16 else self.name


@dataclass(frozen=True)
class Tried:
    """The result of a short trial of starts.

    Attributes:
        start: that learnt best; None is no weights.
        line: the trial in words.
    """

    start: Start | None
    line: str


@dataclass(frozen=True)
class Choice:
    """The settings that were chosen.

    Attributes:
        settings: `section.key` -> value, for what the user did not set.
        lines: the same as text.
    """

    settings: dict[str, object]
    lines: tuple[str, ...]


def choose_settings(
    given: Config,
    data: DataFacts,
    machine: MachineFacts,
    starts: Sequence[Start],
    tried: Tried | None = None,
    short_px: int | None = None,
) -> Choice:
    """Chooses the settings that the user has not given.

    Args:
        given: the settings that were given, with defaults for the others; those given are kept.
        data: the training images.
        machine: that will run it.
        starts: weights that are available to start from.
        tried: which of them learnt best in a trial; None takes the first that fits the machine.
        short_px: pixels of a training image for which a short time has enough steps; None has time for any.
    """
    most_px = min(short_px or _CROP_PX[machine.kind], _CROP_PX[machine.kind])
    model, start = _model(given, machine, starts, tried)
    longest_side_px = given.data.longest_side_px
    if not _has(given, "data.longest_side_px") and given.augment.crop_px is None:
        longest_side_px = _longest_side_px(data, most_px, in_haste=short_px is not None)
    size_px = size_within(data.size_px, longest_side_px)
    crop = given.augment.crop_px or _crop_px(size_px, most_px)
    batch = given.train.batch_size if _has(given, "train.batch_size") else _batch(model, crop, data, machine)
    steps_per_epoch = max(data.num_images // batch, 1)
    expected = min(math.ceil(_STEPS[machine.kind] / steps_per_epoch), _MOST_EPOCHS)
    epochs = given.train.epochs if _has(given, "train.epochs") else expected
    steps = epochs * steps_per_epoch
    begun = start is not None or bool(given.model.start or given.model.vgg16)
    chosen: dict[str, object] = {
        "model.name": model,
        "model.normalisation": start.normalisation if start else "mean_std",
        "model.start": start.name if start and not start.is_vgg16 else "",
        "model.vgg16": start.name if start and start.is_vgg16 else "",
        "augment.flip": True,
        "augment.scale": [0.75, 1.33],
        "augment.crop_px": list(crop),
        "augment.brightness": 0.2,
        "augment.contrast": 0.2,
        "augment.saturation": 0.2,
        "augment.tint": 0.1,
        "loss.class_weights": "sqrt_median_frequency",
        "loss.dice": 1.0,
        "train.epochs": epochs,
        "train.batch_size": batch,
        "train.optimiser": "adamw",
        "train.lr": 1e-3 if begun and short_px is None else 3e-3,
        "train.encoder_lr_factor": 0.3 if begun and model == "segnet" else 1.0,
        "train.weight_decay": 0.02,
        "train.schedule": "cosine",
        "train.warmup": 0.05,
        "train.average": 0.98 if steps < 2000 else 0.998,
        "train.evaluate_every": max(epochs // 5, 1),
    }
    if threads := _threads(machine):
        chosen["train.threads"] = threads
    if longest_side_px is not None:
        chosen["data.longest_side_px"] = longest_side_px
    if model in TENT_MODELS and (start is None or start.is_vgg16):  # other weights fill the decoder
        chosen["model.init"] = "tent"
    if given.model.model_fields_set:
        # a given model is kept; the initialisation of its filters is not part of the model
        chosen = {k: value for k, value in chosen.items() if k == "model.init" or not k.startswith("model.")}
    settings = {key: value for key, value in chosen.items() if not _has(given, key)}
    return Choice(settings, _lines(given, data, machine, start, settings, crop, steps_per_epoch, tried, short_px))


def should_try(given: Config, data: DataFacts, starts: Sequence[Start]) -> bool:
    """Whether a trial may change the start: no model is given, and no weights know a class of the data.

    Weights of street scenes are a good start for street scenes. What they are for other images is not known beforehand.
    """
    known = {name for start in starts for name in start.class_names}
    return bool(starts) and not given.model.model_fields_set and not known.intersection(data.class_names)


def _has(given: Config, key: str) -> bool:
    section, _, name = key.partition(".")
    return name in getattr(given, section).model_fields_set


def _model(
    given: Config, machine: MachineFacts, starts: Sequence[Start], tried: Tried | None
) -> tuple[str, Start | None]:
    """The model's name and the weights to start from; a model that was given is kept, without a start."""
    if given.model.model_fields_set:
        return given.model.name, None
    if tried is not None:
        return tried.start.model if tried.start else "segnet-basic", tried.start
    full = machine.device == "cuda" and machine.memory_gib >= _GPU_GIB_FOR_SEGNET
    for model in ("segnet", "segnet-basic") if full else ("segnet-basic",):
        for start in starts:
            if start.model == model:
                return model, start
    return "segnet-basic", None


def _threads(machine: MachineFacts) -> int:
    """Fewer threads where others use the cores; 0 leaves PyTorch's own number."""
    free = machine.cores - machine.load
    return 0 if machine.device != "cpu" or free >= _FREE_SHARE * machine.cores else max(int(free), 1)


def _longest_side_px(data: DataFacts, most_px: int, *, in_haste: bool = False) -> int | None:
    """The longest side at which the smaller objects still have `_OBJECT_PX`; None where that gains little.

    An object that is far larger than a crop is never seen whole. No image becomes smaller than one crop. In haste the
    objects become smaller: whole images of few pixels teach more than as many steps on crops.
    """
    if not data.object_px:
        return None
    height, width = data.size_px
    object_px = _SHORT_OBJECT_PX if in_haste else _OBJECT_PX
    factor = max(object_px / data.object_px, math.sqrt(most_px / (height * width)))
    if factor > _WORTH_RESIZING:
        return None
    return max(int(max(height, width) * factor) // 8 * 8, 16)


def _crop_px(size_px: tuple[int, int], most_px: int) -> tuple[int, int]:
    """The whole image, or a crop of its shape with at most this many pixels, its sides multiples of 8."""
    factor = math.sqrt(most_px / (size_px[0] * size_px[1]))
    if factor >= 1:
        return size_px
    return max(int(size_px[0] * factor) // 8 * 8, 8), max(int(size_px[1] * factor) // 8 * 8, 8)


def _batch(model: str, crop: tuple[int, int], data: DataFacts, machine: MachineFacts) -> int:
    """The largest power of two that the data, half of the memory and the kind of machine allow."""
    gib = crop[0] * crop[1] * _KIB_PER_PX.get(model, _KIB_PER_PX_ELSE) / 2**20
    most = min(_LARGEST_BATCH[machine.kind], data.num_images, max(int(machine.memory_gib / 2 / gib), 1))
    return 1 << (most.bit_length() - 1)


def _lines(
    given: Config,
    data: DataFacts,
    machine: MachineFacts,
    start: Start | None,
    settings: dict[str, object],
    crop: tuple[int, int],
    steps_per_epoch: int,
    tried: Tried | None,
    short_px: int | None,
) -> tuple[str, ...]:
    def value(key: str) -> object:
        section, _, name = key.partition(".")
        return settings[key] if key in settings else getattr(getattr(given, section), name)

    height, width = data.size_px
    model = f"model: {value('model.name')}"
    if start:
        same = [name for name in data.class_names if name in start.class_names]
        known = f"keeps what it learnt of {', '.join(same)}" if same else "with a new classifier"
        model += f", started from the weights {start.title}; {known} ({len(same)} of {len(data.class_names)} classes)"
    resized = value("data.longest_side_px")
    large = resized is None and max(height, width) > _LARGE_SIDE_PX and not _has(given, "augment.crop_px")
    threads = settings.get("train.threads")
    scale = f"scale: longest side {resized} px, in training and in prediction"
    if "data.longest_side_px" in settings:
        scale += (
            "; the time is short, and has more steps on smaller images"
            if short_px
            else (
                f"; the smaller objects are about {data.object_px:.0f} px of {max(height, width)}, and a crop of "
                f"{crop[0]}x{crop[1]} would hold a small part of them"
            )
        )
    return (
        f"chosen for {data.num_images} images of {height}x{width} on {machine.device} with {machine.cores} cores "
        f"and {machine.memory_gib:.0f} GiB; --set changes any setting, --recipe uses a recipe instead:",
        *((tried.line,) if tried else ()),
        model,
        *((scale,) if resized is not None else ()),
        f"crops: {crop[0]}x{crop[1]} pixels, at random scale, mirrored, with varied light"
        + ("; the images are much larger than that, resized copies may learn better" if large else ""),
        f"batch: {value('train.batch_size')}",
        *((f"threads: {value('train.threads')}, since the load is {machine.load:.1f}",) if threads else ()),
        f"schedule: {value('train.epochs')} epochs of {steps_per_epoch} steps, {value('train.optimiser')}, learning "
        f"rate {value('train.lr')}, {value('train.schedule')}, evaluated every {value('train.evaluate_every')} epochs",
    )
