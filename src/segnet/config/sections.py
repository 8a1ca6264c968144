"""The sections of a run's settings: each setting once, with its type, default, unit and meaning."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from segnet.errors import ConfigError

DEVICE_PATTERN = r"auto|cpu|cuda(:\d+)?|mps"
DeviceName = Annotated[str, Field(pattern=f"^({DEVICE_PATTERN})$")]
"""`auto`, `cpu`, `cuda`, `cuda:N` for GPU number N, or `mps` (Apple)."""
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]


class Section(BaseModel):
    """Typed, frozen settings; an unknown or unusable one raises ConfigError when a section is made by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as cause:
            problems = (
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}".removeprefix(": ").replace("Value error, ", "")
                for e in cause.errors()
            )
            raise ConfigError(f"{type(self).__name__}: {'; '.join(problems)}") from None

    # Pydantic validates nested sections without `__init__` only if told that this one adds nothing to the fields;
    # otherwise an error inside a section would lose its place in the whole.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class DataSettings(Section):
    """The images of a run and how they are read."""

    path: str = "street"
    """Folder of the dataset; `street` selects the built-in drawn scenes."""
    format: Literal["auto", "camvid", "camvid32", "folder", "street", "sunrgbd", "voc", "cityscapes"] = "auto"
    """Layout of the folder; `auto` detects it."""
    bands: tuple[int, ...] | None = None
    """Bands of the image files, counted from 1, in the order of the model's channels; none reads RGB. The model gets as
    many input channels."""
    value_range: tuple[float, float] | None = None
    """Stored values that become 0 and 255, for images of more than 8 bits; none uses the range of the bit depth."""
    longest_side_px: int | None = Field(None, ge=16)
    """Larger images are resized to this longest side, in training and by whatever predicts with the weights; none
    leaves them. Scores are those of predictions resized back."""
    train_split: str = "train"
    """Name of the split to train on."""
    val_split: str = "val"
    """Name of the split to evaluate on."""
    workers: int = Field(1, ge=0)
    """Processes that read images ahead; 0 reads in the training process."""


class Augmentation(Section):
    """Random changes of a training sample, image and target alike. The defaults change nothing, as in the paper.

    Every draw is seeded by (seed, epoch, index of the image). Geometry moves image and target together: the image is
    resampled bilinearly, the target by nearest neighbour, and outside the image the target is `VOID`. Settings
    apply in the order below.
    """

    rotate_degrees: float = Field(0.0, ge=0, le=180)
    """Largest angle of rotation about the centre, in either direction, in degrees."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest factor of resizing, drawn log-uniformly; other than (1, 1) needs `crop_px`."""
    crop_px: tuple[int, int] | None = None
    """(height, width) of a random crop in pixels; padding is grey and `VOID`. None keeps images whole."""
    rare_class_crop: float = Field(0.0, ge=0, le=1)
    """Share of the crops that contain a pixel of a class chosen uniformly from those in the image; needs `crop_px`."""
    flip: bool = False
    """Mirror left and right, with probability 1/2."""
    flip_vertical: bool = False
    """Mirror top and bottom, with probability 1/2."""
    cutmix: float = Field(0.0, ge=0, le=1)
    """Share of the samples in which a rectangle is replaced by that of another sample."""
    classmix: float = Field(0.0, ge=0, le=1)
    """Share of the samples onto which half of the classes of another sample are pasted."""
    brightness: float = Field(0.0, ge=0, lt=1)
    """Values are multiplied by 1 +- this."""
    contrast: float = Field(0.0, ge=0, lt=1)
    """Differences from the image's mean are multiplied by 1 +- this."""
    saturation: float = Field(0.0, ge=0, lt=1)
    """Differences from each pixel's grey value are multiplied by 1 +- this."""
    tint: float = Field(0.0, ge=0, lt=1)
    """Each channel is multiplied by its own 1 +- this, as by another white balance."""
    gamma: float = Field(0.0, ge=0)
    """Values in [0, 1] are raised to a power between 1 / (1 + this) and 1 + this, drawn log-uniformly."""
    shadow: float = Field(0.0, ge=0, lt=1)
    """Largest share of light that a shadow with a straight edge removes, with probability 1/2."""
    blur_px: float = Field(0.0, ge=0)
    """Largest standard deviation of a Gaussian blur, in pixels."""
    noise: float = Field(0.0, ge=0, lt=1)
    """Largest standard deviation of Gaussian noise, as a share of the range of values."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"augment.scale: expected 0 < low <= high, got {self.scale}")
        if self.crop_px is None and self.scale != (1.0, 1.0):
            raise ValueError("augment.scale changes sizes, so augment.crop_px must give the size of a training image")
        if self.crop_px is None and self.rare_class_crop:
            raise ValueError("augment.rare_class_crop needs augment.crop_px, the size of a crop")
        if self.crop_px is not None and min(self.crop_px) < 1:
            raise ValueError(f"augment.crop_px: expected (height, width) of at least 1, got {self.crop_px}")
        if self.cutmix + self.classmix > 1:
            raise ValueError(
                f"augment.cutmix {self.cutmix} and augment.classmix {self.classmix} are shares of the same samples; "
                "expected a sum of at most 1"
            )
        return self


class ModelSettings(Section):
    """The model and its initial weights."""

    name: str = "segnet-basic"
    """A key of `segnet.models.MODELS`."""
    normalisation: Literal["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"] | None = None
    """Input normalisation; none uses the model's default."""
    init: Literal["he", "tent"] = "he"
    """Initialisation of weights that are not loaded: `he` is random, as in the paper; `tent` lets each decoder
    convolution start as a tent filter on its own channel, which learns much faster (docs/decoder-start.md)."""
    conv_bias: bool = False
    """A bias in each convolution before BN, as the released prototxts have; the paper has none."""
    bn_eps: float | None = Field(None, gt=0)
    """Added to the variance in batch normalisation; none uses the model's default. The authors' Caffe has 1e-9."""
    bn_shift: float = 0.0
    """Initial shift of batch normalisation; the released prototxts have 0.001."""
    vgg16: str = ""
    """ImageNet weights for the encoder: a file, or `oxford`, `torchvision`, `torchvision-bn`; empty for none. For other
    than three channels the first layer's filters are repeated over the channels and scaled."""
    start: str = ""
    """Weights of an earlier run to start from: a name, a file or an address (hf://owner/repo); tensors that
    fit are taken, and from a lean model its widths. Empty for none."""
    carry_first_layer: bool = False
    """Accept `start` weights of another number of channels: the first layer's filters are repeated and scaled."""
    licence: str = ""
    """Licence of the weights, written into their file."""


class LossSettings(Section):
    """The loss: weighted cross entropy (or its focal form) plus further terms whose factor is above 0."""

    class_weights: Literal["none", "median_frequency", "median_frequency_void", "sqrt_median_frequency"] = "none"
    """Median-frequency balancing; `_void` counts void as a class in the median, as the authors' prototxt does; `sqrt_`
    takes the square root of the weights, a milder form."""
    normalise_by: Literal["pixels", "weights"] = "pixels"
    """Divide by the number of labelled pixels (the authors' Caffe) or by the sum of their weights (PyTorch)."""
    focal_gamma: float = Field(0.0, ge=0)
    """Each pixel's cross entropy is multiplied by (1 - p) ** this (focal loss); 0 is plain cross entropy."""
    dice: float = Field(0.0, ge=0)
    """Factor of the soft Dice loss."""
    lovasz: float = Field(0.0, ge=0)
    """Factor of the Lovasz-Softmax loss."""
    distillation: float = Field(1.0, ge=0)
    """Factor of the divergence from the teacher's probabilities, where `train.teacher` is given."""
    temperature: float = Field(1.0, gt=0)
    """Of the distillation: logits of both are divided by it, so that above 1 unlikely classes count more."""
    stride_px: int = Field(1, ge=1)
    """Stride of the pixels that are compared, in both directions. 8 is DeepLab's loss at the resolution of its scores,
    since `deeplab-largefov` puts score i at pixel 8i."""


class TrainSettings(Section):
    """The training loop."""

    epochs: int = Field(10, ge=1)
    """Passes over the training images. A run may be resumed with more."""
    max_steps: int = Field(0, ge=0)
    """Steps after which the run ends, if that is before `epochs`; 0 for no limit. A run may be resumed with more."""
    batch_size: int = Field(4, ge=1)
    """Images per forward pass, over all processes; must be divisible by their number."""
    accumulate: int = Field(1, ge=1)
    """Forward and backward passes per step: a step learns from `batch_size` x `accumulate` images."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    lr: float = Field(0.1, gt=0)
    """Highest learning rate."""
    encoder_lr_factor: float = Field(1.0, ge=0)
    """The model's submodule `encoder` learns at `lr` times this; below 1 if it starts from ImageNet."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    bias_lr_factor: float = Field(1.0, ge=0)
    """Biases of convolutions learn at `lr` times this; 2 in the released prototxts."""
    weight_decay: float = Field(5e-4, ge=0)
    """Weight decay of the parameters that `decay_on` names; never of the biases of convolutions."""
    decay_on: Literal["filters", "filters_and_bn_scale", "filters_and_bn"] = "filters"
    """The parameters that `weight_decay` acts on. In the released prototxts BN's scale decays too (SegNet), or scale
    and shift (SegNet-Basic)."""
    clip_grad_norm: float = Field(0.0, ge=0)
    """Gradients are scaled down to this norm (of all parameters together) if theirs is larger; 0 for no limit."""
    schedule: Literal["constant", "poly", "cosine"] = "constant"
    """How the learning rate decreases over the run."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the run in which the learning rate rises from zero."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay per step of an exponential moving average of the weights, which is then evaluated and kept; 0 for none."""
    teacher: str = ""
    """Weights to learn from beside the labels (distillation): a name or a file, of any model for the same classes.
    Empty for none."""
    precision: PrecisionName = "auto"
    """Precision of the arithmetic; `auto` uses bfloat16 where the machine is faster in it, else float32. float16 is for
    GPUs without bfloat16, and slow on a CPU. Weights stay in float32."""
    device: DeviceName = "auto"
    """`auto` uses a GPU if there is one."""
    threads: int = Field(0, ge=0)
    """CPU threads of the arithmetic; 0 uses PyTorch's own number. Fewer are faster on a busy machine, where threads
    wait for each other. Other numbers round differently."""
    low_memory: bool = False
    """Keep one feature map per convolution and recompute the others in the backward pass: less memory, the same
    gradients within rounding."""
    evaluate_every: int = Field(1, ge=0)
    """Epochs between evaluations; the last step is always evaluated. 0 never evaluates and keeps the last weights."""
    early_stopping: int = Field(0, ge=0)
    """Stop after this many evaluations without a better score; 0 never stops early."""
    statistics_pass: Literal["never", "last", "every"] = "never"
    """Recompute BN's statistics by a pass over the training images without augmentation: before `every` evaluation, as
    the paper does, or once after the `last` step, where the weights with the better score are kept."""
    keep: Literal["mean_iou", "global_accuracy", "last"] = "mean_iou"
    """Which evaluation's weights are kept: the highest score, or the last. The paper keeps by global accuracy."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; there is one after each evaluation too."""
    tensorboard: bool = False
    """Also write the log for TensorBoard, to the run's folder `tensorboard`; needs the extra `logs`."""
    csv: bool = False
    """Also write the log as the tables `steps.csv` and `evaluations.csv` in the run's folder."""
    wandb: str = ""
    """Project of Weights & Biases to log to; needs the extra `wandb`. Empty for none."""
    mlflow: str = ""
    """Experiment of MLflow to log to; needs the extra `mlflow`. Empty for none."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of weights, order, augmentation and dropout."""

    @field_validator("statistics_pass", mode="before")
    @classmethod
    def _from_bool(cls, value: object) -> object:
        """Accepts the booleans of settings that were stored before there were three choices."""
        return {True: "last", False: "never"}[value] if isinstance(value, bool) else value


class AutoencoderSettings(Section):
    """The model that learns without labels: `models/autoencoder.py`."""

    normalisation: Literal["lcn", "mean_std"] = "lcn"
    """Input normalisation, and so of the reconstruction; a model that starts from it must have the same. Those that
    give values up to 255 are not among them: tanh is flat there."""
    licence: str = ""
    """Licence of the weights, written into their file."""


class ReconstructionSettings(Section):
    """The training loop without labels."""

    layerwise: bool = True
    """Train one stage after the other, each reconstructing its input; else all stages at once."""
    epochs: int = Field(5, ge=1)
    """Passes over the images; per stage if layer by layer."""
    batch_size: int = Field(4, ge=1)
    """Images per step."""
    lr: float = Field(1e-3, gt=0)
    """Highest learning rate of AdamW; per stage if layer by layer."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW, on all parameters."""
    schedule: Literal["constant", "poly", "cosine"] = "cosine"
    """How the learning rate decreases."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero."""
    precision: PrecisionName = "auto"
    """Precision of the arithmetic; `auto` uses bfloat16 where the machine is faster in it, else float32. float16 is for
    GPUs without bfloat16, and slow on a CPU. Weights stay in float32."""
    device: DeviceName = "auto"
    """`auto` uses a GPU if there is one."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; there is one after each epoch too."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of weights, order and augmentation."""
