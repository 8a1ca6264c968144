"""Two samples in one: a rectangle (CutMix) or whole classes (ClassMix) of a second sample, with its labels.

Source:
    French, Laine, Aila, Mackiewicz, Finlayson: Semi-supervised semantic segmentation needs strong, varied
    perturbations, BMVC 2020 (CutMix for segmentation: one rectangle).
    Olsson, Tranheden, Pinto, Svensson: ClassMix, WACV 2021 (half of the classes of one image pasted on another).

Deviates:
    Both mix labelled samples with their own targets, not pseudo-labels. The rectangle takes a share of the area drawn
    uniformly from 0.1 to 0.5.
"""

from typing import Literal

import numpy as np

from segnet.config.sections import Augmentation
from segnet.data.sample import Sample
from segnet.errors import ShapeError
from segnet.labels import VOID


def draw_mix(augmentation: Augmentation, rng: np.random.Generator) -> Literal["cutmix", "classmix"] | None:
    """Which mix a sample gets, by the shares in `augmentation`; no number is drawn where both are 0."""
    if not augmentation.cutmix and not augmentation.classmix:
        return None
    draw = rng.random()
    if draw < augmentation.cutmix:
        return "cutmix"
    return "classmix" if draw < augmentation.cutmix + augmentation.classmix else None


def mix(sample: Sample, other: Sample, kind: Literal["cutmix", "classmix"], rng: np.random.Generator) -> Sample:
    """Pastes a part of `other` onto `sample`, image and target alike.

    Args:
        sample: (H, W, C) and (H, W); stays as it is.
        other: of the same size.
        kind: what is pasted: a rectangle, or all pixels of half of its classes (rounded up).
        rng: the only source of randomness.

    Raises:
        ShapeError: the samples differ in size.
    """
    if sample.image.shape != other.image.shape:
        raise ShapeError(
            f"augment.{kind}: '{sample.name}' is {sample.image.shape} but '{other.name}' is {other.image.shape}; "
            "set augment.crop_px, so that all are of one size"
        )
    height, width = sample.image.shape[:2]
    pasted = np.zeros((height, width), bool)
    if kind == "cutmix":
        share, aspect = rng.uniform(0.1, 0.5), np.exp(rng.uniform(-np.log(2), np.log(2)))
        rows = min(max(round(height * np.sqrt(share * aspect)), 1), height)
        columns = min(max(round(width * np.sqrt(share / aspect)), 1), width)
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        pasted[top : top + rows, left : left + columns] = True
    else:
        classes = np.unique(other.target[other.target != VOID])
        chosen = rng.choice(classes, (len(classes) + 1) // 2, replace=False) if classes.size else classes
        pasted = np.isin(other.target, chosen)
    image = np.where(pasted[..., None], other.image, sample.image)
    return Sample(image, np.where(pasted, other.target, sample.target), f"{sample.name}+{other.name}")
