"""Names and colours of the classes that an import finds."""

from collections.abc import Mapping
from colorsys import hsv_to_rgb

from segnet.data.reading.class_names import BACKGROUND, means_void, plain_name
from segnet.labels import CAMVID_11, VOID, Colour, LabelSet

__all__ = ["BACKGROUND", "label_set_of", "means_void", "plain_name"]


def label_set_of(name: str, classes: Mapping[str, Colour | None], rest: str) -> LabelSet:
    """The label set of an import.

    Args:
        name: of the label set.
        classes: class name -> its colour, in order. Names that mean void are left out. A class without a colour, or
            with one that is taken, gets the one that road scenes use for its name, or a bright one.
        rest: class of the pixels that no shape covers, placed first where `classes` lacks it; `void` for none.

    Raises:
        LabelError: no class, or too many.
    """
    named = {n: colour for n, colour in classes.items() if not means_void(n)}
    if not means_void(rest) and rest not in named:
        named = {rest: None, **named}
    known = dict(zip(CAMVID_11.names, CAMVID_11.colours, strict=True))
    given = {n: colour for n, colour in named.items() if colour is not None}
    preferred = {BACKGROUND: (0, 0, 0), **known, **given}  # background is black, as in PASCAL VOC
    chosen: list[Colour] = []
    reserved = {preferred[n] for n in named if n in preferred}
    for class_name in named:
        colour = preferred.get(class_name)
        if colour is None or colour in chosen:
            colour = next(c for c in map(_bright, range(3 * VOID)) if c not in reserved and c not in chosen)
        chosen.append(colour)
    return LabelSet(name, tuple(named), tuple(chosen))


def _bright(number: int) -> Colour:
    """Colours that differ from their neighbours in hue, by the golden ratio, and in brightness."""
    red, green, blue = hsv_to_rgb(number * 0.618034 % 1, 0.85 - 0.3 * (number % 3 == 2), 1 - 0.25 * (number % 2))
    return round(255 * red), round(255 * green), round(255 * blue)
