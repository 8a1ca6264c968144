"""Calls any model and checks what it gives: logits (N, K, H, W) at the size of the image."""

import re

from torch import Tensor, nn

from segnet.errors import ShapeError
from segnet.nn.normalisation import InputNormalisation

_OTHER_CHANNELS = re.compile(r"expected input\[\d+, (\d+), [^]]*\] to have (\d+) channels")


def logits_of(model: nn.Module, image: Tensor, num_classes: int | None = None) -> Tensor:
    """The logits of a model of this package or any other.

    Args:
        model: called once, in the mode that it is in.
        image: (N, C, H, W).
        num_classes: K that is expected; None accepts any.

    Returns:
        (N, K, H, W), as the model gives them.

    Raises:
        ShapeError: the model takes another number of channels, or returns something else; says what to do.
    """
    name, own = type(model).__name__, getattr(model, "normalisation", None)
    if isinstance(own, InputNormalisation) and own.in_channels != image.shape[1]:
        raise ShapeError(_on_channels(name, own.in_channels, image.shape[1]))  # one channel would be broadcast
    try:
        logits = model(image)
    except RuntimeError as cause:
        found = _OTHER_CHANNELS.search(str(cause))
        if found is None or int(found[1]) != image.shape[1]:  # a later layer: a mistake inside the model
            raise
        raise ShapeError(_on_channels(name, int(found[2]), image.shape[1])) from cause
    return require_logits(logits, image, name, num_classes)


def require_logits(logits: object, image: Tensor, name: str, num_classes: int | None = None) -> Tensor:
    """What a model returned, known to be logits for its image; arguments and errors as in `logits_of`."""
    expected = f"(N, {num_classes or 'K'}, H, W) = ({len(image)}, {num_classes or 'K'}, {image.shape[2]}, "
    expected = f"{name}: expected logits {expected}{image.shape[3]}) at the size of the image {tuple(image.shape)}, got"
    if not isinstance(logits, Tensor):
        keys = f" with {', '.join(map(str, logits))}" if isinstance(logits, dict) else ""
        raise ShapeError(
            f"{expected} {type(logits).__name__}{keys}; wrap the model in a module whose forward returns the logits"
        )
    if logits.dim() != 4 or len(logits) != len(image):
        raise ShapeError(f"{expected} {tuple(logits.shape)}; wrap the model so that it returns them")
    if logits.shape[2:] != image.shape[2:]:
        raise ShapeError(
            f"{expected} {tuple(logits.shape)}; resize them in the model: "
            "F.interpolate(logits, image.shape[2:], mode='bilinear')"
        )
    if num_classes is not None and logits.shape[1] != num_classes:
        raise ShapeError(
            f"{expected} {tuple(logits.shape)}: {logits.shape[1]} classes, the dataset has {num_classes}; "
            "give the model a classifier for the classes of the dataset"
        )
    return logits


def _on_channels(name: str, own: int, got: int) -> str:
    return (
        f"{name}: takes images of {own} channels, got {got}; build it for {got} channels "
        f"(segnet.create_model(..., in_channels={got}, weights=W, carry_first_layer=True) carries the first layer of "
        f"other weights over), or give images of {own}"
    )
