"""Class ids <-> colours: the image of a prediction, the overlay, the legend, and palette PNGs."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segnet.errors import LabelError, ShapeError
from segnet.labels import VOID, VOID_COLOUR, Colour, LabelSet

Image8 = NDArray[np.uint8]

_WHITE, _INK = (255, 255, 255), (32, 32, 32)
_NEAR = 8  # of an unknown colour, in each channel: likely a slip of the tool that painted it


def to_rgb(prediction: np.ndarray, label_set: LabelSet) -> Image8:
    """Colours a map of class ids.

    Args:
        prediction: class ids or `VOID`, any integer type, (H, W).
        label_set: its colours.

    Returns:
        RGB uint8 (H, W, 3); void is `VOID_COLOUR`.

    Raises:
        LabelError: ids that the label set does not contain; says which, and how many pixels.
    """
    colours: Image8 = _palette(label_set)[_known_ids(prediction, label_set)]
    return colours


def from_rgb(rgb: np.ndarray, label_set: LabelSet, void_colours: Iterable[Colour] = (VOID_COLOUR,)) -> Image8:
    """The inverse of `to_rgb`.

    Args:
        rgb: uint8 (H, W, 3).
        label_set: its colours.
        void_colours: colours that become `VOID`, unless a class has the same colour.

    Returns:
        Class ids or `VOID`, uint8 (H, W).

    Raises:
        LabelError: other colours; says which, and how many pixels of each.
        ShapeError: not (H, W, 3).
    """
    classes = {colour: class_id for class_id, colour in enumerate(label_set.colours)}
    return colours_to_ids(rgb, {**dict.fromkeys(void_colours, VOID), **classes})


def colours_to_ids(rgb: np.ndarray, ids: Mapping[Colour, int]) -> Image8:
    """Converts colours to ids by a table, in which several colours may share an id.

    Args:
        rgb: uint8 (H, W, 3).
        ids: 0..255 for each colour.

    Returns:
        uint8 (H, W).

    Raises:
        LabelError: colours that the table does not contain; says which, and how many pixels of each.
        ShapeError: not (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"expected an RGB image (height, width, 3), got {rgb.shape}")
    wide = rgb.astype(np.uint32)
    codes = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]  # (H, W)
    table = sorted((red << 16 | green << 8 | blue, class_id) for (red, green, blue), class_id in ids.items())
    known = np.array([code for code, _ in table], np.uint32)
    positions = np.searchsorted(known, codes).clip(max=len(known) - 1)
    strange = known[positions] != codes
    if strange.any():
        found, counts = np.unique(codes[strange], return_counts=True)
        names = list(map(_colour_text, found.tolist()))
        hint = _near_hint(int(found[counts.argmax()]), known)
        raise LabelError(f"unknown colour {_counted(names, counts)}; expected one of {len(known)} known colours{hint}")
    mapped: Image8 = np.array([class_id for _, class_id in table], np.uint8)[positions]
    return mapped


def _colour_text(code: int) -> str:
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"


def _near_hint(code: int, known: np.ndarray) -> str:
    """Says which known colour an unknown one nearly is; empty where none is near."""
    channels = [abs((known.astype(np.int64) >> shift & 255) - (code >> shift & 255)) for shift in (16, 8, 0)]
    distances = np.max(channels, axis=0)
    if distances.min() > _NEAR:
        return ""
    near = _colour_text(int(known[distances.argmin()]))
    return f"; {_colour_text(code)} differs from {near} by {distances.min()} (--colour-tolerance of segnet data import)"


def displayed(image: np.ndarray) -> Image8:
    """Converts an image with any number of channels to RGB for display.

    Args:
        image: uint8 (H, W, C).

    Returns:
        RGB uint8 (H, W, 3): the first three channels, or the first as grey where there are fewer.
    """
    rgb: Image8 = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    return rgb


def overlay(image: np.ndarray, prediction: np.ndarray, label_set: LabelSet, opacity: float = 0.5) -> Image8:
    """Draws the colours of the classes over the image.

    Args:
        image: RGB uint8 (H, W, 3).
        prediction: class ids or `VOID`, (H, W).
        label_set: its colours.
        opacity: of the colours, 0..1; void pixels show the image alone.

    Returns:
        RGB uint8 (H, W, 3).

    Raises:
        LabelError: ids that the label set does not contain.
        ShapeError: image and prediction differ in size.
        ValueError: opacity outside 0..1.
    """
    if image.shape != (*prediction.shape, 3):
        raise ShapeError(
            f"overlay: expected image and prediction of equal size, got {image.shape} and {prediction.shape}"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: expected 0..1, got {opacity}")
    share = np.where(prediction == VOID, np.float32(0), np.float32(opacity))[..., None]  # (H, W, 1)
    mixed = image * (1 - share) + to_rgb(prediction, label_set) * share
    result: Image8 = np.rint(mixed).astype(np.uint8)
    return result


def legend(
    label_set: LabelSet, width_px: int = 480, text_px: int = 13, class_ids: Collection[int] | None = None
) -> Image8:
    """Draws a legend: swatches and names in columns, on white.

    Args:
        label_set: names and colours.
        width_px: of the image; more when one name alone needs more.
        text_px: height of the letters.
        class_ids: the classes to list, which may include `VOID`; None lists all classes without void.

    Returns:
        RGB uint8 (h, w, 3), h as needed.
    """
    entries = [
        ("void", VOID_COLOUR) if class_id == VOID else (label_set.names[class_id], label_set.colours[class_id])
        for class_id in (range(label_set.num_classes) if class_ids is None else sorted(class_ids))
    ]
    font = ImageFont.load_default(size=text_px)
    swatch, gap, line = text_px, text_px // 2, text_px * 3 // 2
    widest = max((round(font.getlength(name)) for name, _ in entries), default=0)
    cell = swatch + gap + widest + 2 * gap
    columns = max((width_px - 2 * gap) // cell, 1)
    rows = -(-len(entries) // columns)
    image = Image.new("RGB", (max(width_px, cell + gap), rows * line + 2 * gap), _WHITE)
    brush = ImageDraw.Draw(image)
    for index, (name, colour) in enumerate(entries):
        left, top = gap + index % columns * cell, gap + index // columns * line
        brush.rectangle((left, top, left + swatch, top + swatch), fill=colour, outline=_INK)
        brush.text((left + swatch + gap, top + swatch / 2), name, fill=_INK, font=font, anchor="lm")
    return np.array(image)


def legend_below(width_px: int, label_set: LabelSet, class_ids: Collection[int] | None = None) -> Image8:
    """Draws a legend whose text size fits an image of that width; arguments and result as in `legend`."""
    return legend(label_set, width_px, min(max(width_px // 36, 11), 28), class_ids)


def with_legend(image: np.ndarray, label_set: LabelSet, class_ids: Collection[int] | None = None) -> Image8:
    """Adds the legend below an image; white at the right if the legend is wider.

    Args:
        image: RGB uint8 (H, W, 3), for example an overlay.
        label_set: names and colours.
        class_ids: which entries, as in `legend`.

    Returns:
        RGB uint8 (H + h, max(W, w), 3).
    """
    below = legend_below(image.shape[1], label_set, class_ids)
    width = max(image.shape[1], below.shape[1])
    parts = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in (image, below)]
    return np.concatenate(parts)


def palette_bytes(label_set: LabelSet) -> bytes:
    """The 256 colours of a palette PNG, R G B each: the classes by id, and black for all others, including void."""
    return _palette(label_set).tobytes()


def to_palette_image(prediction: np.ndarray, label_set: LabelSet) -> Image.Image:
    """Makes an image of mode P: its pixels are the class ids (255 is void), and viewers show their colours.

    Args:
        prediction: class ids or `VOID`, any integer type, (H, W).
        label_set: its colours.

    Raises:
        LabelError: ids that the label set does not contain.
    """
    image = Image.fromarray(_known_ids(prediction, label_set))
    image.putpalette(palette_bytes(label_set))  # converts mode L (grey) to mode P (palette)
    return image


def _palette(label_set: LabelSet) -> Image8:
    """The colours by id, (256, 3)."""
    colours = np.full((256, 3), VOID_COLOUR, np.uint8)
    colours[: label_set.num_classes] = label_set.colours
    return colours


def _known_ids(prediction: np.ndarray, label_set: LabelSet) -> Image8:
    strange = (prediction < 0) | (prediction >= label_set.num_classes) & (prediction != VOID)
    if strange.any():
        found, counts = np.unique(prediction[strange], return_counts=True)
        raise LabelError(
            f"unknown class id {_counted([str(i) for i in found.tolist()], counts)}; label set '{label_set.name}' has "
            f"0..{label_set.num_classes - 1} and void {VOID}"
        )
    return prediction.astype(np.uint8)


def _counted(names: list[str], counts: NDArray[np.intp], most: int = 5) -> str:
    """`a (3 pixels), b (1 pixel)`, the most frequent first, and how many more there are."""
    order = np.argsort(-counts, kind="stable")[:most].tolist()
    words = [f"{names[i]} ({counts[i]} pixel{'s' if counts[i] != 1 else ''})" for i in order]
    return ", ".join(words) + (f" and {len(names) - most} more" if len(names) > most else "")
