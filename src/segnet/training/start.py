"""What a run starts from: the images as its settings read them, and a model for their channels."""

from torch import nn

from segnet.config import Config
from segnet.config.sections import DataSettings
from segnet.data.channel_statistics import channel_statistics
from segnet.data.reading.bands import ImageReading
from segnet.data.sample import Dataset
from segnet.models import Widths, create_model
from segnet.weights.file import find_weights, widths_in


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
        measure: read the training images for their statistics; False where a checkpoint brings them.
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
