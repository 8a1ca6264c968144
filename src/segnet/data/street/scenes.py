"""Drawn street scenes, the dataset that comes with the package: for the demo, for tests, for a first look.

Each scene is laid out at random in metres (a road with pavements between rows of houses, trees, traffic and people),
and painted from far to near by the files `street_*.py` beside this one. The classes are CamVid's 11; bins, a part of
the own car's bonnet, and in some scenes thin borders between things are void.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from segnet.data.sample import Image8, Sample
from segnet.data.street import ground, things, traffic
from segnet.data.street.canvas import BUILDING, FENCE, POLE, ROAD, SKY, TREE, Camera, Canvas, Light
from segnet.errors import ConfigError, DataError
from segnet.labels import CAMVID_11, VOID, LabelSet

STREET_SPLITS = {"train": (400, 0), "val": (60, 1), "test": (60, 2)}
STREET_SIZE_PX = (120, 160)

_SUNNY = Light(
    (0.62, 0.65, 0.73), (0.62, 0.55, 0.44), 1, 0.5, (86, 138, 206), (196, 214, 230), haze_per_m=0.004, lit_windows=0.0
)
_OVERCAST = Light(
    (0.8, 0.82, 0.85), (0.1, 0.1, 0.1), 1, 0.12, (168, 176, 188), (216, 218, 220), haze_per_m=0.008, lit_windows=0.06
)
_DUSK = Light(
    (0.4, 0.4, 0.5), (0.3, 0.22, 0.14), 1, 0.2, (70, 82, 130), (236, 176, 132), haze_per_m=0.006, lit_windows=0.4
)
_GRAIN = np.full(256, 0.05, np.float32)  # how rough each class looks
_GRAIN[[SKY, BUILDING, POLE, ROAD, TREE, FENCE]] = (0.008, 0.07, 0.04, 0.055, 0.16, 0.1)

_Item = tuple[float, Callable[[], None]]  # distance in metres, and what paints it


class Street:
    """Drawn street scenes, made when they are read.

    Args:
        count: how many.
        size_px: (height, width) of an image.
        seed: another seed gives other scenes. Scene `i` depends on seed, `i` and size alone: the same on any machine,
            as long as the versions of NumPy and Pillow are the same.

    Raises:
        ConfigError: a count below 0, or a side below 16 pixels.
    """

    label_set: LabelSet = CAMVID_11

    def __init__(self, count: int, size_px: tuple[int, int] = STREET_SIZE_PX, seed: int = 0) -> None:
        if count < 0 or min(size_px) < 16:
            raise ConfigError(
                f"street: expected a count of at least 0 and sides of at least 16, got {count} of {size_px}"
            )
        self.count, self.size_px, self.seed = count, size_px, seed
        self.names = tuple(f"street-{seed}-{index:04d}" for index in range(count))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Draws one scene.

        Raises:
            IndexError: no such scene.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"street scene {index} of {self.count}")
        image, target = draw_street(self.size_px, np.random.default_rng([self.seed, index]))
        return Sample(image, target, self.names[index])


def street_split(_: Path, split: str, __: bool = False) -> Street:
    """A split of the embedded dataset, 120x160 pixels: `train` has 400 scenes, `val` and `test` 60 each.

    Args:
        _: nothing is read.
        split: one of the three.
        __: nothing can be missing.

    Raises:
        DataError: another split.
    """
    if split not in STREET_SPLITS:
        raise DataError(f"no split '{split}' of the drawn street scenes; there are {', '.join(STREET_SPLITS)}")
    count, seed = STREET_SPLITS[split]
    return Street(count, STREET_SIZE_PX, seed)


def draw_street(size_px: tuple[int, int], rng: np.random.Generator) -> tuple[Image8, Image8]:
    """One scene.

    Args:
        size_px: (height, width).
        rng: the only random generator.

    Returns:
        image: RGB uint8 (H, W, 3).
        target: class ids or `VOID`, uint8 (H, W).
    """
    finer = 3 if size_px[0] < 240 else 2  # painted larger, then averaged
    height, width = size_px[0] * finer, size_px[1] * finer
    light = replace((_SUNNY, _OVERCAST, _DUSK)[rng.choice(3, p=(0.5, 0.33, 0.17))], sun_side=int(rng.choice((-1, 1))))
    parked = rng.random(2) < 0.5
    half_m = rng.uniform(3.2, 4.4) + 0.9 * parked.sum()
    centre = (width * rng.uniform(0.42, 0.58), height * rng.uniform(0.4, 0.5))
    lane_m = -(half_m - 1.8 * parked[0]) / 2 + rng.uniform(-0.3, 0.3)
    camera = Camera(width * rng.uniform(0.85, 1.1), centre, lane_m, rng.uniform(1.25, 1.6), rng.uniform(-8e-4, 8e-4))
    canvas = Canvas((height, width), camera, light)
    ground.paint_sky(canvas, rng, rng.uniform(0.1, 0.8) if light.casts > 0.2 else 0.8)
    ground.paint_far_end(canvas, rng)
    pavement_m = (rng.uniform(1.6, 3.6), rng.uniform(1.6, 3.6))
    ground.paint_road(canvas, rng, half_m, pavement_m)
    items = [*_sides(canvas, rng, half_m, pavement_m), *_furniture(canvas, rng, half_m, pavement_m)]
    items += _people(canvas, rng, half_m, pavement_m)
    items += _traffic(canvas, rng, half_m, (bool(parked[0]), bool(parked[1])))
    for _, paint in sorted(items, key=lambda item: -item[0]):
        paint()
    _paint_bonnet(canvas, rng)
    return _develop(canvas, rng, finer)


def _places(rng: np.random.Generator, start: float, stop: float, low: float, high: float) -> Iterator[float]:
    """Distances from `start` to `stop`, with gaps between `low` and `high`."""
    place = start
    while place < stop:
        yield place
        place += rng.uniform(low, high)


def _sides(canvas: Canvas, rng: np.random.Generator, half_m: float, pavement_m: tuple[float, float]) -> list[_Item]:
    """What stands along the street on both sides: rows of houses, with gardens, fences and trees between."""
    items: list[_Item] = []
    for side, pavement in zip((-1, 1), pavement_m, strict=True):
        line = half_m + pavement + (rng.uniform(1.5, 5) if rng.random() < 0.4 else 0.0)
        built = rng.uniform(0.45, 0.95)
        usual = rng.uniform(5, 13)
        z = rng.uniform(-6, 3)
        while z < ground.FAR_M:
            end = z + rng.uniform(6, 18)
            if rng.random() < built:
                high = usual * rng.uniform(0.8, 1.25)
                items.append((end, partial(ground.paint_building, canvas, rng, side, line, z, end, high)))
                if canvas.light.sun_side == side:
                    reach = side * max(line - high * rng.uniform(0.7, 0.8), -half_m)
                    cast = [(side * line, 0.02, z), (reach, 0.02, z), (reach, 0.02, end), (side * line, 0.02, end)]
                    canvas.face(cast, (12, 14, 34), None, opacity=canvas.light.casts)
            else:
                items += _garden(canvas, rng, side * line, max(z, 1.5), end)
            if line > half_m + pavement and rng.random() < 0.7:  # a front garden is fenced off
                edge = side * (half_m + pavement)
                items.append((end - 0.1, _boundary(canvas, rng, edge, max(z, 1.2), end)))
            z = end + (rng.uniform(2, 7) if rng.random() < 0.25 else 0.0)
    return items


def _garden(canvas: Canvas, rng: np.random.Generator, x: float, z1: float, z2: float) -> list[_Item]:
    if z2 - z1 < 1:
        return []
    away = 1 if x > 0 else -1
    items: list[_Item] = [(z2 - 0.1, _boundary(canvas, rng, x, z1, z2))]
    for z in _places(rng, z1 + 1, z2, 2.5, 6):
        place = x + away * rng.uniform(1.5, 9)
        items.append((z + 0.2, partial(things.paint_tree, canvas, rng, place, z, rng.uniform(4, 11))))
    return items


def _boundary(canvas: Canvas, rng: np.random.Generator, x: float, z1: float, z2: float) -> Callable[[], None]:
    if rng.random() < 0.65:
        return partial(things.paint_fence, canvas, rng, x, z1, z2)
    return partial(things.paint_hedge, canvas, rng, x, z1, z2, rng.uniform(0.9, 1.8))


def _furniture(canvas: Canvas, rng: np.random.Generator, half_m: float, pavement_m: tuple[float, float]) -> list[_Item]:
    """What stands on the pavements."""
    items: list[_Item] = []
    for side, pavement in zip((-1, 1), pavement_m, strict=True):
        kerb = side * (half_m + 0.4)
        if rng.random() < 0.8:
            for z in _places(rng, rng.uniform(5, 16), 110, 16, 30):
                items.append((z, partial(things.paint_lamp_post, canvas, rng, kerb, z, side)))
        if rng.random() < 0.5:
            inner, high = side * (half_m + min(pavement - 0.5, 1.0)), rng.uniform(4.5, 9)
            for z in _places(rng, rng.uniform(7, 20), 100, 8, 22):
                items.append((z, partial(things.paint_tree, canvas, rng, inner, z, high * rng.uniform(0.8, 1.2))))
        for z in _places(rng, rng.uniform(5, 18), 60, 9, 30):
            items.append((z, partial(things.paint_sign, canvas, rng, kerb + side * rng.uniform(0, 0.4), z)))
        if rng.random() < 0.25:
            z = rng.uniform(9, 28)
            items.append((z, partial(things.paint_traffic_light, canvas, rng, kerb, z)))
        if rng.random() < 0.2:
            z = rng.uniform(4, 25)
            items.append((z + 6, partial(things.paint_fence, canvas, rng, side * (half_m + 0.3), z, z + 6)))
        if rng.random() < 0.3:
            for z in _places(rng, rng.uniform(5, 12), 30, 2, 2.5):
                items.append((z, partial(things.paint_bollard, canvas, kerb, z)))
        for _ in range(int(rng.integers(0, 3))):
            z, x = rng.uniform(5, 40), side * (half_m + pavement * rng.uniform(0.6, 0.95))
            items.append((z, partial(things.paint_bin, canvas, rng, x, z)))
    return items


def _people(canvas: Canvas, rng: np.random.Generator, half_m: float, pavement_m: tuple[float, float]) -> list[_Item]:
    """Who walks on the pavements, and who crosses."""
    items: list[_Item] = []
    for side, pavement in zip((-1, 1), pavement_m, strict=True):
        for _ in range(int(rng.integers(0, 6))):
            z, x = rng.uniform(4.5, 38), side * (half_m + pavement * rng.uniform(0.2, 0.9))
            items.append((z, partial(traffic.paint_pedestrian, canvas, rng, x, z)))
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.3 else 0):
        z = rng.uniform(9, 26)
        items.append((z, partial(traffic.paint_pedestrian, canvas, rng, rng.uniform(-half_m, half_m), z)))
    return items


def _traffic(canvas: Canvas, rng: np.random.Generator, half_m: float, parked: tuple[bool, bool]) -> list[_Item]:
    """Parked cars at the kerbs, driving ones in the lanes (traffic keeps left), and bicyclists."""
    items: list[_Item] = []
    for side, lined in zip((-1, 1), parked, strict=True):
        for z in _places(rng, rng.uniform(3, 12), 90, 5.6, 12) if lined else ():
            x, oncoming = side * (half_m - 1.05), rng.random() < (0.15 if side < 0 else 0.8)
            items.append((z, partial(traffic.paint_car, canvas, rng, x, z, oncoming)))
    lane = canvas.camera.x_m
    if rng.random() < 0.55:
        for z in _places(rng, rng.uniform(7, 40), 80, 9, 40):
            items.append((z, partial(traffic.paint_car, canvas, rng, lane + rng.uniform(-0.3, 0.3), z, False)))
    if rng.random() < 0.6:
        for z in _places(rng, rng.uniform(6, 40), 90, 10, 45):
            items.append((z, partial(traffic.paint_car, canvas, rng, max(-lane, 1.3), z, True)))
    for _ in range(int(rng.integers(0, 4))):
        z, crossing = rng.uniform(4.5, 30), rng.random() < 0.3
        x = rng.uniform(-half_m, half_m) if crossing else lane - rng.uniform(0.9, 1.3)
        if rng.random() < 0.4 and not crossing:
            x = half_m - 1.8 * parked[1] - rng.uniform(0.4, 0.9)
        items.append((z, partial(traffic.paint_bicyclist, canvas, rng, x, z, crossing)))
    return items


def _paint_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """In some scenes the own car is seen at the lower edge; that is void."""
    if rng.random() >= 0.3:
        return
    width, height = canvas.image.size
    top = height * (1 - rng.uniform(0.04, 0.1))
    tone = rng.uniform(30, 150)
    for lift, brightness in ((0.0, 0.7), (0.012 * height, 1.0)):
        curve = [(width * i / 12, top + lift + height * 0.05 * ((i - 6) / 6) ** 2) for i in range(13)]
        colour = canvas.shade((tone, tone, tone * 1.04), 2, brightness)
        canvas.outline_px([(0, height), *curve, (width, height)], colour, VOID)


def _develop(canvas: Canvas, rng: np.random.Generator, finer: int) -> tuple[Image8, Image8]:
    """From the painting to image and target: averaged down, roughened by class, exposed, with grain and borders."""
    labels = np.asarray(canvas.labels)
    target = labels[finer // 2 :: finer, finer // 2 :: finer].copy()
    image = np.asarray(canvas.image.reduce(finer), np.float32)
    height, width = target.shape
    fine = rng.integers(-128, 128, (2, height, width), dtype=np.int8).astype(np.float32).sum(axis=0)
    small = rng.integers(0, 256, (height // 5 + 2, width // 5 + 2), dtype=np.uint8)
    coarse = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.float32) - 128
    rough = _GRAIN[target] * (fine * np.float32(0.7 / 128) + coarse * np.float32(0.7 / 128))
    image *= 1 + rough[..., None]
    across, down = (np.linspace(-1, 1, n, dtype=np.float32) for n in (width, height))
    dim = np.float32(rng.uniform(0, 0.14)) * (across[None, :] ** 2 + down[:, None] ** 2)
    tint = rng.uniform(0.95, 1.05, 3).astype(np.float32) * np.float32(rng.uniform(0.88, 1.16))
    image *= (1 - dim)[..., None] * tint
    contrast, middle = np.float32(rng.uniform(0.85, 1.15)), np.float32(110)
    image = (image - middle) * contrast + middle
    image += rng.integers(-5, 6, image.shape, dtype=np.int8)  # the sensor's noise
    if rng.random() < 0.4:
        _void_borders(target, labels, finer, rng)
    return np.rint(image).clip(0, 255).astype(np.uint8), target


def _void_borders(target: Image8, labels: Image8, finer: int, rng: np.random.Generator) -> None:
    """Where a pixel holds two classes, half of the pixels become void, as annotators leave borders out. In place."""
    corners = labels[::finer, ::finer], labels[finer - 1 :: finer, finer - 1 :: finer]
    border = (corners[0] != corners[1]) & (target != POLE) & (rng.random(target.shape) < 0.5)
    target[border] = VOID
