"""Anybody's dataset as one of ours: `Sample`s, dicts or (image, target) pairs of arrays, tensors or PIL images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from segnet.data.sample import Dataset, Sample
from segnet.data.transforms import image_to_tensor, target_to_tensor
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import VOID, LabelSet, distinct_colours

_TARGET_KEYS = ("target", "mask")


@runtime_checkable
class AnyDataset(Protocol):
    """What `torch.utils.data.Dataset` offers with a known length.

    Each item is a `Sample`, a mapping with `image` and `target` (or `mask`), or a pair (image, target):

        image     (H, W, C) or (H, W) of uint8 or uint16, or float; a tensor may be (C, H, W); a PIL image
        target    class ids or `VOID` (255), integers (H, W) or (1, H, W); a PIL image of ids
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def adapt_dataset(dataset: Any, classes: "LabelSet | Sequence[str] | int | None" = None) -> Dataset:
    """Gives a dataset the interface of ours: `label_set`, `names`, and `Sample`s.

    Args:
        dataset: one of ours (returned as it is), or any other as in `AnyDataset`.
        classes: a label set, the names of the classes, or their number. None takes the dataset's `label_set` or
            `classes`.

    Raises:
        DataError: an iterable dataset without length or index, or one without any item.
        LabelError: classes that neither the argument nor the dataset gives.
    """
    if classes is None and isinstance(getattr(dataset, "label_set", None), LabelSet) and hasattr(dataset, "names"):
        return dataset  # type: ignore[no-any-return]
    if isinstance(dataset, torch.utils.data.DataLoader):
        raise DataError("expected a dataset, got a DataLoader; pass its dataset, and the batch size in the settings")
    if not isinstance(dataset, AnyDataset) or not callable(getattr(type(dataset), "__len__", None)):
        raise DataError(
            f"{type(dataset).__name__}: expected a dataset with __len__ and __getitem__, since runs are resumed by "
            "index; load an iterable dataset into a list"
        )
    if len(dataset) == 0:
        raise DataError(f"{type(dataset).__name__} holds no sample; expected at least one")
    if classes is None:
        classes = getattr(dataset, "label_set", None) or getattr(dataset, "classes", None)
    if classes is None:
        raise LabelError(f"{type(dataset).__name__} has no label_set or classes; pass classes=, names or a number")
    return AdaptedDataset(dataset, label_set_of(classes))


def label_set_of(classes: LabelSet | Sequence[str] | int) -> LabelSet:
    """A label set from names, which get distinct colours, or from a number of classes, called `class 0` and so on.

    Raises:
        LabelError: one string instead of several, or no class.
    """
    if isinstance(classes, LabelSet):
        return classes
    if isinstance(classes, str):
        raise LabelError(f"classes: expected names, got the string '{classes}'; write ['{classes}']")
    names = tuple(f"class {i}" for i in range(classes)) if isinstance(classes, int) else tuple(map(str, classes))
    return LabelSet("custom", names, distinct_colours(len(names)))


class AdaptedDataset:
    """A dataset of another project as `Sample`s.

    Args:
        dataset: as in `AnyDataset`.
        label_set: what the class ids mean.
    """

    def __init__(self, dataset: AnyDataset, label_set: LabelSet) -> None:
        self.dataset = dataset
        self.label_set = label_set
        names = getattr(dataset, "names", None)
        usable = isinstance(names, Sequence) and len(names) == len(dataset)
        self.names = tuple(map(str, names)) if usable and names is not None else _numbered(len(dataset))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """Reads one item.

        Raises:
            DataError: an item of another form; says its keys or type.
            ShapeError: image and target differ in size, or have another number of axes.
            LabelError: ids outside the classes, or not integers.
        """
        return as_sample(self.dataset[index], self.names[index], self.label_set)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"sample {i}" for i in range(count))


def as_sample(item: Any, name: str, label_set: LabelSet | None = None) -> Sample:
    """One item of anybody's dataset as a `Sample`.

    Args:
        item: as in `AnyDataset`.
        name: for messages, where the item has none.
        label_set: whose ids the target may hold; None checks only that they are integers 0..255.

    Raises:
        DataError, ShapeError or LabelError: as in `AdaptedDataset.__getitem__`.
    """
    if isinstance(item, Sample):
        return item
    if isinstance(item, Mapping):
        key = next((k for k in _TARGET_KEYS if k in item), None)
        if "image" not in item or key is None:
            raise DataError(
                f"{name}: expected the keys image and target (or mask), got {', '.join(map(str, item)) or 'none'}"
            )
        image, target = item["image"], item[key]
        name = str(item.get("name", name))
    elif isinstance(item, tuple | list) and len(item) == 2:
        image, target = item
    else:
        what = f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__
        raise DataError(f"{name}: expected a dict with image and target, or a pair (image, target), got {what}")
    labels = _target_array(target, name)
    _check_ids(labels, name, label_set)
    return Sample(_image_array(image, labels.shape, name), labels.astype(np.uint8), name)


def _target_array(target: Any, name: str) -> NDArray[Any]:
    """(H, W) of integers."""
    array = target.detach().cpu().numpy() if isinstance(target, torch.Tensor) else np.asarray(target)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ShapeError(f"{name}: expected a target (H, W), got {tuple(array.shape)}; one class id for each pixel")
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise LabelError(f"{name}: expected integer class ids, got {array.dtype}; were they resized as colours?")
    return array


def _check_ids(labels: NDArray[Any], name: str, label_set: LabelSet | None) -> None:
    highest = label_set.num_classes - 1 if label_set else VOID
    outside = labels[((labels < 0) | (labels > highest)) & (labels != VOID)]
    if outside.size:
        found = ", ".join(map(str, np.unique(outside)[:5].tolist()))
        raise LabelError(
            f"{name}: {outside.size} pixels of class id {found}; expected 0..{highest}, or {VOID} for ignored pixels"
        )


def _image_array(image: Any, size_px: tuple[int, ...], name: str) -> NDArray[Any]:
    """(H, W, C) of uint8, uint16 or float32, with H and W those of the target."""
    if isinstance(image, Image.Image):
        image = image if image.mode in ("L", "I;16", "F") else image.convert("RGB")
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    # PyTorch's order is (C, H, W), NumPy's (H, W, C); the target's size tells which, the type only where both fit.
    first, last = array.ndim == 3 and array.shape[1:] == size_px, array.ndim == 3 and array.shape[:2] == size_px
    if first and (isinstance(image, torch.Tensor) or not last):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[:2] != size_px:
        raise ShapeError(
            f"{name}: image {tuple(np.shape(image))} and target {size_px} differ in size; "
            "a transform that changes the image must change the target too"
        )
    if array.dtype in (np.uint8, np.uint16):
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{name}: expected an image of uint8, uint16 or float, got {array.dtype}; convert it")
    return array.astype(np.float32)


def apply_transform(sample: Sample, transform: Callable[..., Any]) -> Sample:
    """A sample after a joint transform of another project.

    Args:
        sample: image (H, W, C), target (H, W).
        transform: given image float32 (C, H, W), in [0, 1] as the model sees it, and target int64 (H, W), it returns
            both.

    Raises:
        ShapeError: image and target come back with different sizes.
        DataError: it does not return a pair.
    """
    result = transform(image_to_tensor(sample.image), target_to_tensor(sample.target))
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise DataError(f"transform: expected a pair (image, target), got {type(result).__name__}")
    return as_sample(tuple(result), sample.name)
