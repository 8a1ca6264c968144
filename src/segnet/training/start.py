"""What a run starts from: the images as its settings read them, a model for their channels, the card of its weights."""

from torch import nn

from segnet.config import Config, FitConfig
from segnet.config.sections import DataSettings
from segnet.data.channel_statistics import channel_statistics
from segnet.data.reading.bands import AS_RGB, ImageReading
from segnet.data.sample import Dataset
from segnet.models import MODELS, Widths, create_model
from segnet.nn.layers import ConvBN
from segnet.version import __version__
from segnet.weights.file import WeightsCard, find_weights, widths_in


def reading_of(data: DataSettings) -> ImageReading:
    """How the settings read image files: bands and range of values."""
    return ImageReading(data.value_range, data.bands)


def widths_to_start_with(config: Config) -> Widths:
    """The widths of the lean model that the run starts from; none where it starts from no weights or from full ones."""
    settings = config.model
    return widths_in(find_weights(settings.start), settings.name) if settings.start else {}


def create_for_dataset(
    config: Config, train_set: Dataset, *, measure: bool = True, widths: Widths | None = None
) -> nn.Module:
    """A model with as many input channels as the training images have.

    ImageNet has statistics for RGB only. For other channels, `mean_std` uses those of the training set, which then are
    part of the `state_dict`.

    Args:
        config: name, normalisation and initialisation of the model.
        train_set: not empty.
        measure: read the training images for their statistics; False if a checkpoint has them.
        widths: of a lean model; None is the paper's.
    """
    settings, in_channels = config.model, train_set[0].image.shape[2]
    is_measured = measure and in_channels != 3 and settings.normalisation in (None, "mean_std")
    return create_model(
        settings.name,
        train_set.label_set.num_classes,
        in_channels,
        normalisation=settings.normalisation,
        statistics=channel_statistics(train_set) if is_measured else None,
        init=settings.init,
        widths=widths,
    )


def card_of(model: nn.Module, train_set: Dataset, config: FitConfig) -> WeightsCard:
    """The card of a caller's model.

    Args:
        model: of this package, which its card then can build again; or any other, of which it names the class.
        train_set: not empty.
        config: settings of the run.
    """
    name = next((name for name, kind in MODELS.items() if type(model) is kind), type(model).__name__)
    reading = getattr(train_set, "reading", AS_RGB)
    units = [module for module in model.modules() if isinstance(module, ConvBN)]
    return WeightsCard(
        model=name,
        label_set=train_set.label_set,
        recipe=config.to_toml(),
        trained_on=train_set.label_set.name,
        version=__version__,
        conv_bias=any(unit.conv.bias is not None for unit in units),
        in_channels=train_set[0].image.shape[2],
        bands=reading.bands or (),
        value_range=reading.value_range,
    )
