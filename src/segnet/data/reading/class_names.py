"""What class names mean, whichever tool or person wrote them."""

BACKGROUND = "background"
_VOID_NAMES = ("void", "unknown void", "ignore", "ignored", "unlabelled", "unlabeled", "don't care", "dontcare")


def means_void(class_name: str) -> bool:
    """Whether tools give this name to ignored pixels; LabelMe writes `__ignore__`."""
    return class_name.lower().strip("_ ") in _VOID_NAMES


def plain_name(class_name: str) -> str:
    """A class name without white space around it; LabelMe's `_background_` is `background`, in every format."""
    text = class_name.strip()
    return BACKGROUND if text == "_background_" else text
