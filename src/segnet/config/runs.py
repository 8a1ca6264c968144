"""All settings of one run, by section: of training by recipe, of `fit`, and of training without labels."""

from typing import ClassVar, Self

from pydantic import model_validator

from segnet.config.sections import (
    Augmentation,
    AutoencoderSettings,
    DataSettings,
    LossSettings,
    ModelSettings,
    ReconstructionSettings,
    Section,
    TrainSettings,
)
from segnet.io.text import toml_value

_FREE_IN_TRAINING = frozenset(
    ("train", key) for key in ("device", "threads", "statistics_pass", "tensorboard", "csv", "wandb", "mlflow")
)


class Settings(Section):
    """All settings of one run, by section.

    Attributes:
        command: that runs with them.
        free_to_change: (section, key) of those that change no step, so that a run may be resumed with others.
        free_to_raise: (section, key) of those that a run may be resumed with larger values of.
    """

    command: ClassVar[str]
    free_to_change: ClassVar[frozenset[tuple[str, str]]]
    free_to_raise: ClassVar[frozenset[tuple[str, str]]] = frozenset()

    def to_toml(self) -> str:
        """All settings as TOML that can be read back; a setting that is none is left out."""
        lines = []
        for section, values in self.model_dump(mode="json").items():
            lines += [f"[{section}]"]
            lines += [f"{key} = {toml_value(value)}" for key, value in values.items() if value is not None]
            lines += [""]
        return "\n".join(lines)

    def changes(self, before: Self) -> list[str]:
        """What differs from earlier settings and may not: `section.key was OLD, now NEW` each."""
        old, new = before.model_dump(), self.model_dump()
        return [
            f"{section}.{key} was {old[section][key]!r}, now {value!r}"
            for section, values in new.items()
            for key, value in values.items()
            if old[section][key] != value
            and (section, key) not in self.free_to_change
            and not ((section, key) in self.free_to_raise and _is_more(value, old[section][key]))
        ]

    def raised_over(self, before: "Settings") -> list[str]:
        """Limits that are higher than in earlier settings: `section.key NEW instead of OLD` each."""
        old, new = before.model_dump(), self.model_dump()
        return [
            f"{section}.{key} {new[section][key]} instead of {old[section][key]}"
            for section, key in sorted(self.free_to_raise)
            if _is_more(new[section][key], old[section][key])
        ]


def _is_more(new: int, old: int) -> bool:
    """Whether a limit was raised; 0 is no limit."""
    return old != 0 and (new == 0 or new > old)


class FitConfig(Settings):
    """Settings of a run of `fit`, whose model and datasets are the caller's own."""

    command = "fit"
    free_to_change = _FREE_IN_TRAINING
    free_to_raise = frozenset({("train", "epochs"), ("train", "max_steps"), ("train", "early_stopping")})
    augment: Augmentation = Augmentation()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()


class Config(Settings):
    """All settings of a training run by recipe."""

    command = "segnet train"
    free_to_change = _FREE_IN_TRAINING | {("data", "path"), ("data", "workers"), ("model", "licence")}
    free_to_raise = FitConfig.free_to_raise
    data: DataSettings = DataSettings()
    augment: Augmentation = Augmentation()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.model.vgg16 and self.model.start:
            raise ValueError("model.vgg16 and model.start are both given; the second would overwrite the first")
        return self


class PretrainConfig(Settings):
    """All settings of a run without labels."""

    command = "segnet pretrain"
    free_to_change = frozenset({("data", "path"), ("data", "workers"), ("train", "device"), ("model", "licence")})
    data: DataSettings = DataSettings()
    augment: Augmentation = Augmentation()
    model: AutoencoderSettings = AutoencoderSettings()
    train: ReconstructionSettings = ReconstructionSettings()

    @model_validator(mode="after")
    def _three_channels(self) -> Self:
        if self.data.bands is not None and len(self.data.bands) != 3:
            raise ValueError(f"data.bands: the autoencoder rebuilds three channels, got {len(self.data.bands)} bands")
        return self
