"""How large the objects in label images are, for choosing the scale at which a model should see them."""

import math

import numpy as np

from segnet.labels import VOID

_SIDE_PX = 512  # labels are looked at with every n-th pixel, at about this longest side
_LEAST_SHARE = 0.0005  # of the image; smaller areas are specks of an annotator's brush


def object_sizes_px(target: np.ndarray) -> list[float]:
    """The square root of the area of each connected area of a class, in pixels of the image; ignored ones left out.

    Args:
        target: class ids or `VOID`, (H, W).
    """
    from scipy.ndimage import label  # noqa: PLC0415 - reading an image does not need scipy

    step = max(max(target.shape) // _SIDE_PX, 1)
    seen = target[::step, ::step]
    sizes = []
    for class_id in np.unique(seen[seen != VOID]).tolist():
        areas = np.bincount(label(seen == class_id)[0].ravel())[1:]
        sizes += [math.sqrt(area) * step for area in areas.tolist() if area >= _LEAST_SHARE * seen.size]
    return sizes
