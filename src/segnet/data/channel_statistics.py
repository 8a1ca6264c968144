"""Mean and standard deviation of each channel over a training set, for images that ImageNet has no statistics of."""

import numpy as np

from segnet.data.sample import Dataset
from segnet.data.transforms import image_to_tensor
from segnet.errors import ShapeError
from segnet.nn.normalisation import ChannelStatistics

MAX_IMAGES = 200
LEAST_STD = 1 / 255  # a constant channel would divide by zero; one step of 8 bits is its noise


def channel_statistics(dataset: Dataset, max_images: int = MAX_IMAGES) -> ChannelStatistics:
    """Measures the channels of a dataset on images evenly spread over it.

    Args:
        dataset: not empty; its images have one number of channels.
        max_images: a larger dataset is sampled, since more images hardly change a mean over millions of pixels.

    Returns:
        Mean and standard deviation over all pixels of these images, of values in [0, 1]; ignored pixels count too.

    Raises:
        ShapeError: images differ in their number of channels; names two of them.
    """
    indices = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), max_images)).round().astype(int))
    pixels, sums, squares, first = 0, np.zeros(0), np.zeros(0), ""
    for index in indices.tolist():
        sample = dataset[index]
        values = image_to_tensor(sample.image).double().flatten(1).numpy()  # (C, H * W)
        if not first:
            first, sums, squares = sample.name, np.zeros(len(values)), np.zeros(len(values))
        if len(values) != len(sums):
            raise ShapeError(
                f"'{first}' has {len(sums)} channels but '{sample.name}' has {len(values)}; "
                "choose the same bands for all images (data.bands)"
            )
        pixels += values.shape[1]
        sums = sums + values.sum(1)
        squares = squares + np.square(values).sum(1)
    mean = sums / pixels
    std = np.sqrt((squares / pixels - np.square(mean)).clip(min=0)).clip(min=LEAST_STD)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))
