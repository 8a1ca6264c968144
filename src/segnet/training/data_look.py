"""What a run finds in its images and labels before the first step: their range of values, and what may be a mistake."""

from typing import TypeVar

from segnet.config import Config, PretrainConfig
from segnet.data.checking import before_training
from segnet.data.datasets.paired import PairedImages
from segnet.data.datasets.unlabelled import Images, open_images
from segnet.data.formats import open_dataset
from segnet.data.value_range import measure_values
from segnet.training.start import reading_of

_AnyConfig = TypeVar("_AnyConfig", Config, PretrainConfig)


def with_range_of_values(config: _AnyConfig) -> tuple[_AnyConfig, tuple[str, ...]]:
    """Settings with the range of values that the training images have, where none is given.

    Images of 8 bits need none. Those of more bits are read by their bit depth, unless that would make them nearly
    black, as the 12 bits of many cameras and reflectances up to 10,000 do, or their type has no natural white. The
    range then stands in the settings and in the card of the weights, so that prediction reads images the same way.
    Every run passes here before it reads its images, whoever starts it.

    Args:
        config: settings of a run, with labels or without.

    Returns:
        The settings, and what was chosen in words; nothing for images of 8 bits.

    Raises:
        DataError, LabelError: what opening the training images raises.
    """
    data = config.data
    if data.value_range is not None:
        return config, ()
    open_split = open_images if isinstance(config, PretrainConfig) else open_dataset
    dataset = open_split(data.path, data.train_split, data.format, reading=reading_of(data))
    if isinstance(dataset, PairedImages):
        paths = [path for path, _ in dataset.pairs]
    elif isinstance(dataset, Images):
        paths = list(dataset.paths)
    else:  # drawn scenes
        return config, ()
    values = measure_values(paths, data.bands)
    if values is None:
        return config, ()
    chosen = values.chosen("auto")
    if chosen is not None:
        config = config.model_copy(update={"data": data.model_copy(update={"value_range": chosen})})
    return config, (values.describe(reading_of(config.data)),)


def warnings_before(config: Config) -> list[str]:
    """Looks at some training samples; what it returns and raises is that of `before_training`."""
    data = config.data
    return before_training(open_dataset(data.path, data.train_split, data.format, reading=reading_of(data)))
