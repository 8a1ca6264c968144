"""Images resized to a longest side, so that a model sees objects at one scale in training and in prediction."""

import numpy as np
from PIL import Image

from segnet.data.sample import Dataset, Sample
from segnet.labels import LabelSet


def size_within(size_px: tuple[int, int], longest_side_px: int | None) -> tuple[int, int]:
    """(height, width) with the longer side at most `longest_side_px`; smaller sizes, and None, change nothing."""
    if longest_side_px is None or max(size_px) <= longest_side_px:
        return size_px
    factor = longest_side_px / max(size_px)
    return max(1, round(size_px[0] * factor)), max(1, round(size_px[1] * factor))


def resized_image(image: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """An image (H, W, C) at another size, antialiased; of its own type.

    Pillow resizes RGB uint8 at once, and other channels one by one in float32.
    """
    if image.shape[:2] == size_px:
        return image
    size = size_px[::-1]  # Pillow's order is (width, height)
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR))
    bands = []
    for band in image.transpose(2, 0, 1):
        given = Image.fromarray(np.ascontiguousarray(band, band.dtype if band.dtype == np.uint8 else np.float32))
        bands.append(np.asarray(given.resize(size, Image.Resampling.BILINEAR)))
    resized = np.stack(bands, axis=2)
    return resized if image.dtype in (np.uint8, np.float32) else np.rint(resized).astype(image.dtype)


class Resized:
    """A dataset whose larger images are resized to a longest side.

    Args:
        dataset: any of ours.
        longest_side_px: of the images; smaller ones stay as they are.
        targets: resize the labels too, by nearest neighbour; False keeps them at their own size, to score predictions
            that are resized back.
    """

    label_set: LabelSet

    def __init__(self, dataset: Dataset, longest_side_px: int, *, targets: bool = True) -> None:
        self.dataset, self.longest_side_px, self.targets = dataset, longest_side_px, targets
        self.label_set, self.names = dataset.label_set, dataset.names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample; errors as those of the dataset."""
        sample = self.dataset[index]
        height, width = size_within((sample.image.shape[0], sample.image.shape[1]), self.longest_side_px)
        target = sample.target
        if self.targets and target.shape != (height, width):
            target = np.asarray(Image.fromarray(target).resize((width, height), Image.Resampling.NEAREST))
        return Sample(resized_image(sample.image, (height, width)), target, sample.name)
