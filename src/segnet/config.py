"""The settings of a training run: typed, validated, read from TOML recipes, each with its unit and meaning.

Precedence: the defaults below < a recipe < `--set section.key=value`. An unknown key is an error that names the nearest
one. The resolved settings are printed at the start of a run and stored beside its weights.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from segnet.errors import ConfigError, nearest
from segnet.io.text import read_text, toml_value

DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """Which images."""

    path: str = "street"
    """Folder of the dataset; `street` is the embedded drawn scenes."""
    format: Literal["auto", "camvid", "camvid32", "folder", "street", "sunrgbd", "voc", "cityscapes"] = "auto"
    """How the folder is laid out; `auto` looks."""
    train_split: str = "train"
    val_split: str = "val"
    workers: int = Field(1, ge=0)
    """Processes that read images ahead."""


class AugmentConfig(_Section):
    """What chance may do to a training image. The defaults do nothing, as in the paper."""

    flip: bool = False
    """Mirror left and right, half of the time."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest factor of resizing."""
    crop_px: tuple[int, int] | None = None
    """(height, width) of the piece that is cut out, in pixels; none keeps the whole image."""
    brightness: float = 0.0
    """Multiplied by 1 +- this."""
    contrast: float = 0.0
    """Multiplied by 1 +- this."""
    saturation: float = 0.0
    """Multiplied by 1 +- this."""
    tint: float = 0.0
    """Red, green and blue are multiplied by 1 +- this each."""


class ModelConfig(_Section):
    """Which model, and where its weights begin."""

    name: str = "segnet-basic"
    """A key of `segnet.models.MODELS`."""
    normalisation: Literal["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"] | None = None
    """Of the input; none takes the model's own."""
    init: Literal["he", "tent"] = "he"
    """Of weights that are not loaded: `he` draws them all, as the paper does; `tent` lets each decoder convolution
    begin as a tent filter on its own channel, which learns much faster (docs/decoder-start.md)."""
    conv_bias: bool = False
    """A bias in each convolution before BN, as the released prototxts have; the paper says none."""
    bn_eps: float | None = Field(None, gt=0)
    """Added to the variance in batch normalisation; none takes the model's own. The authors' Caffe has 1e-9."""
    bn_shift: float = 0.0
    """Where the shift of batch normalisation begins; the released prototxts have 0.001."""
    vgg16: str = ""
    """ImageNet weights for the encoder: a file, or `oxford`, `torchvision`, `torchvision-bn`; empty for none."""
    start: str = ""
    """Weights of an earlier run to go on from: a name or a file; tensors that fit are taken. Empty for none."""
    licence: str = ""
    """Of the weights, written into their file."""


class LossConfig(_Section):
    """What is minimised: weighted cross entropy plus, where a factor is given, further terms."""

    class_weights: Literal["none", "median_frequency", "median_frequency_void", "sqrt_median_frequency"] = "none"
    """Median-frequency balancing; `_void` counts void as a class in the median, as the authors' prototxt does; `sqrt_`
    takes the square root of the weights, a milder form."""
    normalise_by: Literal["pixels", "weights"] = "pixels"
    """Divide by the number of labelled pixels (the authors' Caffe) or by the sum of their weights (PyTorch)."""
    dice: float = Field(0.0, ge=0)
    """Factor of the soft Dice loss."""
    lovasz: float = Field(0.0, ge=0)
    """Factor of the Lovasz-Softmax loss."""
    stride_px: int = Field(1, ge=1)
    """Compare every so many pixels in both directions only. 8 is DeepLab's loss at the resolution of its scores, since
    `deeplab-largefov` puts score i at pixel 8i."""


class TrainConfig(_Section):
    """How training goes."""

    epochs: int = Field(10, ge=1)
    """Walks through the training images."""
    batch_size: int = Field(4, ge=1)
    """Images per step, of all processes together; their number must divide it."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0)
    """Learning rate at its highest."""
    encoder_lr_factor: float = Field(1.0, ge=0)
    """The encoder learns at `lr` times this; below 1 where it starts from ImageNet."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of SGD."""
    bias_lr_factor: float = Field(1.0, ge=0)
    """Biases of convolutions learn at `lr` times this; 2 in the released prototxts."""
    weight_decay: float = Field(5e-4, ge=0)
    """Of what `decay_on` names; never on the biases of convolutions."""
    decay_on: Literal["filters", "filters_and_bn_scale", "filters_and_bn"] = "filters"
    """What `weight_decay` acts on. In the released prototxts BN's scale decays too (SegNet), or scale and shift
    (SegNet-Basic)."""
    schedule: Literal["constant", "poly", "cosine"] = "constant"
    """How the learning rate goes down."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the run in which the learning rate rises from nothing."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay per step of an exponential moving average of the weights, which is then what is evaluated; 0 for none."""
    precision: PrecisionName = "auto"
    """Of the arithmetic; `auto` takes bfloat16 where the machine is faster in it, else float32. float16 is for GPUs
    without bfloat16, and slow on a CPU. Weights stay in float32."""
    device: DeviceName = "auto"
    low_memory: bool = False
    """Keep one map per convolution and make the others again in the backward pass: less memory, the same gradients
    within rounding."""
    evaluate_every: int = Field(1, ge=1)
    """Epochs between evaluations; the last epoch is always evaluated."""
    statistics_pass: Literal["never", "last", "every"] = "never"
    """Compute BN's statistics anew by a pass over the training images as they are: before `every` evaluation, as the
    paper does, or once after the `last` step, where the weights with the better score are kept."""
    keep: Literal["mean_iou", "global_accuracy", "last"] = "mean_iou"
    """Which evaluation's weights are kept: the highest score, or the last. The paper keeps by global accuracy."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; there is one after each evaluation too."""
    tensorboard: bool = False
    """Also write the log's numbers for TensorBoard, to the run's folder `tensorboard`; wants the extra `logs`."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of weights, order, augmentation and dropout."""

    @field_validator("statistics_pass", mode="before")
    @classmethod
    def _from_bool(cls, value: object) -> object:
        """Settings that were stored before there were three choices are still read."""
        return {True: "last", False: "never"}[value] if isinstance(value, bool) else value


class Settings(_Section):
    """All settings of one run, by section.

    Attributes:
        command: that runs with them.
        free_to_change: (section, key) of those that change no step, so that a run may go on with others.
    """

    command: ClassVar[str]
    free_to_change: ClassVar[frozenset[tuple[str, str]]]

    def to_toml(self) -> str:
        """All settings as TOML that can be read back; a setting that is none is left out."""
        lines = []
        for section, values in self.model_dump(mode="json").items():
            lines += [f"[{section}]"]
            lines += [f"{key} = {toml_value(value)}" for key, value in values.items() if value is not None]
            lines += [""]
        return "\n".join(lines)

    def changes(self, before: Self) -> list[str]:
        """What differs from earlier settings and is not free to: `section.key was OLD, now NEW` each."""
        old, new = before.model_dump(), self.model_dump()
        return [
            f"{section}.{key} was {old[section][key]!r}, now {value!r}"
            for section, values in new.items()
            for key, value in values.items()
            if old[section][key] != value and (section, key) not in self.free_to_change
        ]


_AnySettings = TypeVar("_AnySettings", bound=Settings)


class Config(Settings):
    """All settings of a training run."""

    command = "segnet train"
    free_to_change = frozenset(
        {
            ("data", "path"),
            ("data", "workers"),
            ("train", "device"),
            ("train", "statistics_pass"),
            ("train", "tensorboard"),
            ("model", "licence"),
        }
    )
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.model.vgg16 and self.model.start:
            raise ValueError("model.vgg16 and model.start are both given; the second would overwrite the first")
        return self


class AncestorConfig(_Section):
    """The model that learns without labels: `models/autoencoder.py`."""

    normalisation: Literal["lcn", "mean_std"] = "lcn"
    """Of the input, and so of what is rebuilt; the model that is started later must have the same. Those that give
    values up to 255 are not among them: tanh has no slope there."""
    licence: str = ""
    """Of the weights, written into their file."""


class RebuildConfig(_Section):
    """How training without labels goes."""

    layerwise: bool = True
    """One stage after the other, each rebuilding what it is given; else all at once, rebuilding the image."""
    epochs: int = Field(5, ge=1)
    """Walks through the images, for each stage anew when layer by layer."""
    batch_size: int = Field(4, ge=1)
    """Images per step."""
    lr: float = Field(1e-3, gt=0)
    """Learning rate of AdamW at its highest, for each stage anew when layer by layer."""
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "poly", "cosine"] = "cosine"
    """How the learning rate goes down."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from nothing."""
    precision: PrecisionName = "auto"
    """Of the arithmetic; `auto` takes bfloat16 where the machine is faster in it, else float32. float16 is for GPUs
    without bfloat16, and slow on a CPU. Weights stay in float32."""
    device: DeviceName = "auto"
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; there is one after each epoch too."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of weights, order and augmentation."""


class PretrainConfig(Settings):
    """All settings of a run without labels."""

    command = "segnet pretrain"
    free_to_change = frozenset({("data", "path"), ("data", "workers"), ("train", "device"), ("model", "licence")})
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: AncestorConfig = AncestorConfig()
    train: RebuildConfig = RebuildConfig()


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship with the package."""
    folder = resources.files("segnet") / "recipes"
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml")))


def load_config(recipe: str | None = None, overrides: list[str] | None = None) -> Config:
    """Resolves the settings of a run.

    Args:
        recipe: name of a recipe that ships, or path of a TOML file; None for the defaults alone.
        overrides: `section.key=value`, the value in TOML (a bare word counts as a string); the last one wins.

    Raises:
        ConfigError: unknown recipe, section or key (names the nearest), or a value that does not fit.
    """
    return _resolve(Config, _read_recipe(recipe) if recipe else {}, overrides)


def load_pretrain_config(overrides: list[str] | None = None) -> PretrainConfig:
    """Resolves the settings of a run without labels.

    Args:
        overrides: as in `load_config`.

    Raises:
        ConfigError: unknown section or key (names the nearest), or a value that does not fit.
    """
    return _resolve(PretrainConfig, {}, overrides)


def _resolve(kind: type[_AnySettings], settings: dict[str, Any], overrides: list[str] | None) -> _AnySettings:
    for override in overrides or []:
        _apply(override, settings)
    try:
        return kind.model_validate(settings)
    except ValidationError as cause:
        raise ConfigError("; ".join(_in_words(kind, dict(e)) for e in cause.errors())) from None


def _read_recipe(recipe: str) -> dict[str, Any]:
    if recipe in recipe_names():
        text = (resources.files("segnet") / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    elif Path(recipe).is_file():
        text = read_text(Path(recipe))
    else:
        raise ConfigError(f"no recipe or file '{recipe}'; {nearest(recipe, recipe_names())}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise ConfigError(f"recipe {recipe} is not valid TOML: {cause}") from None


def _apply(override: str, settings: dict[str, Any]) -> None:
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        raise ConfigError(f"--set {override}: expected section.key=value, for example train.lr=0.05")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    values = settings.setdefault(section, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{section}: expected a section of settings, [{section}], got {values!r}")
    values[name] = value


def _in_words(kind: type[Settings], error: dict[str, Any]) -> str:
    """One line for one thing that pydantic found wrong."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        got = f", got {error['input']!r:.60}" if error["loc"] else ""
        return f"{place}: {error['msg']}{got}".removeprefix(": ")
    section = kind.model_fields.get(str(error["loc"][0]))
    if len(error["loc"]) == 1 or section is None or section.annotation is None:
        return f"unknown section '{place}'; {nearest(place, kind.model_fields)}"
    return f"unknown setting '{place}'; {nearest(str(error['loc'][1]), section.annotation.model_fields)}"
