"""Draws the README's animation: street scenes, and a photograph, with their classes wiped over them.

    python -P tools/draw_animation.py --photograph china.jpg --out docs/images/streets.webp
    python -P tools/draw_animation.py --still docs/images/first-prediction.webp

The classes are what the weights that ship say. The scenes are some that they get right; the share of pixels that they
get right in each is printed. The photograph is scikit-learn's `china.jpg` (danielbuechele, CC BY 2.0), which is in
`sklearn/datasets/images` of its package.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from segnet import Predictor, palette
from segnet.data.street.scenes import Street
from segnet.io.files import whole_file
from segnet.labels import VOID

SIZE_PX = (360, 480)  # that of the training images of the weights
SCENES = ((4, 3), (1, 3), (7, 0))  # seed and number: chosen by eye among those with the largest share of right pixels
WIPE_STEPS = 12
STEP_MS, HOLD_MS = 60, 1400
QUALITY = 62

Frame = tuple[np.ndarray, int]  # RGB uint8 (H, W, 3) and how long it stands, in ms


def wipe(image: np.ndarray, coloured: np.ndarray, steps: int = WIPE_STEPS) -> Iterator[Frame]:
    """The image, then its colours from left to right behind a white line, then the colours.

    Args:
        image: RGB uint8 (H, W, 3).
        coloured: the same with class colours laid over it.
        steps: frames between the first and the last.
    """
    yield image, HOLD_MS // 2
    for step in range(1, steps + 1):
        edge = round(image.shape[1] * step / (steps + 1))
        frame = np.concatenate([coloured[:, :edge], image[:, edge:]], axis=1)
        frame[:, edge - 1 : edge + 2] = 255
        yield frame, STEP_MS
    yield coloured, HOLD_MS


def photograph(path: Path) -> np.ndarray:
    """The largest part in the middle that has the proportions of `SIZE_PX`, at that size: RGB uint8 (H, W, 3)."""
    height, width = SIZE_PX
    with Image.open(path) as file:
        image = file.convert("RGB")
    scale = min(image.width / width, image.height / height)
    cut = (round(width * scale), round(height * scale))
    left, top = (image.width - cut[0]) // 2, (image.height - cut[1]) // 2
    return np.asarray(image.crop((left, top, left + cut[0], top + cut[1])).resize((width, height)))


def frames(weights: str, photographs: list[Path]) -> Iterator[Frame]:
    """All frames, each with the legend below."""
    predictor = Predictor(weights)
    legend = palette.legend_below(SIZE_PX[1], predictor.label_set)
    images = []
    for seed, number in SCENES:
        sample = Street(number + 1, SIZE_PX, seed)[number]
        images.append((sample.image, sample.target))
    images += [(photograph(path), None) for path in photographs]
    for image, target in images:
        classes = predictor(image).classes
        if target is not None:
            print(f"{(classes == target)[target != VOID].mean():.1%} of the scene's pixels are right")
        for frame, duration_ms in wipe(image, palette.overlay(image, classes, predictor.label_set, 0.6)):
            yield np.concatenate([frame, legend]), duration_ms


def still(weights: str) -> np.ndarray:
    """The second scene, its target and its prediction beside each other, with the legend: RGB uint8."""
    predictor = Predictor(weights)
    seed, number = SCENES[1]
    sample = Street(number + 1, SIZE_PX, seed)[number]
    panels = [sample.image]
    for classes in (sample.target, predictor(sample.image).classes):
        panels.append(palette.overlay(sample.image, classes, predictor.label_set, 0.6))
    row = np.concatenate(panels, axis=1)
    return np.concatenate([row, palette.legend(predictor.label_set, row.shape[1], 26)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="segnet-basic-camvid")
    parser.add_argument("--photograph", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("docs/images/streets.webp"))
    parser.add_argument("--still", type=Path, help="draw the figure of the start page instead")
    options = parser.parse_args()
    if options.still:
        with whole_file(options.still) as temporary:
            Image.fromarray(still(options.weights)).save(temporary, format="WEBP", quality=70, method=6)
        return
    drawn = list(frames(options.weights, options.photograph))
    first, *others = (Image.fromarray(frame) for frame, _ in drawn)
    with whole_file(options.out) as temporary:
        first.save(
            temporary,
            format="WEBP",
            save_all=True,
            append_images=others,
            duration=[duration_ms for _, duration_ms in drawn],
            loop=0,
            quality=QUALITY,
            method=6,
        )
    print(f"{options.out}: {len(drawn)} frames, {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
