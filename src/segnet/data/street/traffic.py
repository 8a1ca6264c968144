"""What moves in a drawn street: cars, people and bicyclists."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from segnet.data.street.canvas import BICYCLIST, CAR, PEDESTRIAN, Canvas, Point, Rgb, tinted
from segnet.data.street.things import paint_shadow

_CIRCLE = tuple((cos(2 * pi * i / 14), sin(2 * pi * i / 14)) for i in range(14))
_CAR_COLOURS: tuple[Rgb, ...] = (
    (196, 200, 204),
    (232, 232, 230),
    (44, 46, 52),
    (120, 124, 130),
    (160, 30, 34),
    (36, 62, 124),
    (36, 88, 70),
    (80, 110, 150),
    (196, 176, 130),
)
_CLOTHES: tuple[Rgb, ...] = (
    (40, 44, 62),
    (60, 60, 64),
    (150, 40, 44),
    (46, 80, 130),
    (200, 196, 188),
    (88, 104, 70),
    (190, 120, 50),
    (110, 70, 110),
    (28, 28, 30),
)
_SKIN: tuple[Rgb, ...] = ((226, 182, 152), (196, 146, 112), (126, 86, 62), (240, 200, 170))
_HAIR: tuple[Rgb, ...] = ((40, 32, 28), (96, 66, 40), (150, 120, 76), (130, 128, 126))


@dataclass(frozen=True)
class _Model:
    """A car seen from the side: (share of length from the rear, share of height), from the rear bottom over the top."""

    length_m: float
    width_m: float
    height_m: float
    outline: tuple[tuple[float, float], ...]
    window: tuple[tuple[float, float], ...]
    glass_edges: tuple[int, ...]


_HATCHBACK = _Model(
    3.9,
    1.72,
    1.46,
    (
        (0, 0.2),
        (0, 0.6),
        (0.03, 0.66),
        (0.1, 0.96),
        (0.2, 1),
        (0.5, 1),
        (0.68, 0.67),
        (0.95, 0.58),
        (1, 0.46),
        (1, 0.2),
    ),
    ((0.1, 0.68), (0.15, 0.92), (0.48, 0.93), (0.62, 0.68)),
    (2, 5),
)
_SALOON = _Model(
    4.5,
    1.78,
    1.42,
    (
        (0, 0.2),
        (0, 0.62),
        (0.14, 0.67),
        (0.26, 0.97),
        (0.33, 1),
        (0.52, 1),
        (0.68, 0.67),
        (0.96, 0.57),
        (1, 0.45),
        (1, 0.2),
    ),
    ((0.22, 0.69), (0.3, 0.92), (0.51, 0.93), (0.63, 0.69)),
    (2, 5),
)
_VAN = _Model(
    5.0,
    1.95,
    2.1,
    (
        (0, 0.16),
        (0, 0.5),
        (0.01, 0.92),
        (0.03, 1),
        (0.68, 1),
        (0.74, 0.97),
        (0.84, 0.58),
        (0.98, 0.48),
        (1, 0.4),
        (1, 0.16),
    ),
    ((0.62, 0.6), (0.62, 0.9), (0.73, 0.9), (0.8, 0.6)),
    (1, 5),
)


def paint_car(canvas: Canvas, rng: np.random.Generator, x_m: float, z_m: float, oncoming: bool) -> None:
    """A car, with its shadow on the road.

    Args:
        canvas: what is farther away is painted.
        rng: the random generator.
        x_m: of its middle.
        z_m: of its near end.
        oncoming: shows its front, else its rear.
    """
    model = (_HATCHBACK, _HATCHBACK, _SALOON, _SALOON, _VAN)[rng.integers(5)]
    base = _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    glass: Rgb = (52, 62, 72)
    half, high, long = model.width_m / 2, model.height_m, model.length_m
    paint_shadow(canvas, x_m, half, z_m, z_m + long, high)
    canvas.bar(x_m, z_m + 0.3, (-half * 0.96, 0.05, half * 0.96, high * 0.3), (16, 16, 18), CAR)

    def at(share: float, level: float, across: float) -> Point:
        along = 1 - share if oncoming else share
        narrow = 1 - 0.17 * max(0.0, (level - 0.62) / 0.38)
        return (x_m + across * half * narrow, level * high, z_m + along * long)

    edges = list(zip(model.outline, model.outline[1:], strict=False))
    order = sorted(range(len(edges)), key=lambda i: -at(edges[i][0][0], 0, 0)[2] - at(edges[i][1][0], 0, 0)[2])
    for i in order:
        (s1, l1), (s2, l2) = edges[i]
        if not _seen(canvas, at(s1, l1, 0), at(s2, l2, 0), oncoming):
            continue
        quad = [at(s1, l1, -1), at(s1, l1, 1), at(s2, l2, 1), at(s2, l2, -1)]
        flatness = abs(s2 - s1) * long / (abs(s2 - s1) * long + abs(l2 - l1) * high)
        canvas.face(quad, base, CAR, sunlit=0.3 + 0.6 * flatness)
        if i in model.glass_edges:
            pane = [
                at(s, level, side * 0.86) for s, level, side in ((s1, l1, -1), (s1, l1, 1), (s2, l2, 1), (s2, l2, -1))
            ]
            canvas.face(pane, glass, None, sunlit=0.4 + 0.6 * flatness)
    beside = canvas.camera.x_m - x_m - canvas.camera.bend_per_m * z_m * z_m
    if abs(beside) > half:
        side = 1 if beside > 0 else -1
        sunlit = 0.9 if canvas.light.sun_side == side else 0.1
        canvas.face([at(s, level, side) for s, level in model.outline], base, CAR, sunlit=sunlit)
        canvas.face([at(s, level, side * 1.0) for s, level in model.window], glass, None, sunlit=0.6)
        pillar = (model.window[1][0] + model.window[2][0]) / 2
        post = [
            at(s, level, side)
            for s, level in ((pillar, 0.66), (pillar, 0.94), (pillar + 0.025, 0.94), (pillar + 0.025, 0.66))
        ]
        canvas.face(post, base, None, sunlit=sunlit)
        for share in (0.18, 0.81):
            _wheel(canvas, at(share, 0, side), 0.32)
    _paint_end(canvas, model, x_m, z_m, oncoming)


def _seen(canvas: Canvas, first: Point, second: Point, oncoming: bool) -> bool:
    """Whether the outer side of an edge of the outline, stretched across the car, faces the camera."""
    dz, dy = second[2] - first[2], second[1] - first[1]
    turn = -1 if oncoming else 1
    return turn * (-dy * -first[2] + dz * (canvas.camera.height_m - first[1])) > 0


def _wheel(canvas: Canvas, hub: Point, radius_m: float) -> None:
    for share, colour in ((1.0, (24, 24, 26)), (0.6, (140, 142, 146)), (0.2, (60, 60, 64))):
        ring = [(hub[0], radius_m + v * radius_m * share, hub[2] + u * radius_m * share) for u, v in _CIRCLE]
        canvas.face(ring, colour, CAR)


def _paint_end(canvas: Canvas, model: _Model, x: float, z: float, oncoming: bool) -> None:
    """Lights, plate, bumper and tyres of the end that faces the camera."""
    half, high = model.width_m / 2, model.height_m
    bottom = model.outline[0][1] * high
    for side in (-1, 1):
        inner, outer = sorted((side * (half - 0.34), side * (half - 0.1)))
        canvas.bar(x, z + 0.15, (inner, 0.0, outer, bottom), (22, 22, 24), CAR)
    canvas.bar(x, z, (-half * 0.98, bottom, half * 0.98, bottom + 0.16), (58, 58, 60), None)
    lamp: Rgb = (246, 244, 226) if oncoming else (186, 26, 24)
    shines = canvas.light.lit_windows > 0.2
    level = (0.42 if oncoming else 0.47) * high
    for side in (-1, 1):
        inner, outer = sorted((side * (half - 0.36), side * (half - 0.06)))
        box = [(inner, level), (outer, level), (outer, level + 0.16), (inner, level + 0.16)]
        canvas.flat(x, z, box, (255, 60, 40) if shines and not oncoming else lamp, None, glows=shines)
    if oncoming:
        canvas.bar(x, z, (-half * 0.5, 0.34 * high, half * 0.5, 0.44 * high), (30, 30, 32), None)
    plate: Rgb = (230, 230, 224) if oncoming else (220, 186, 66)
    canvas.bar(x, z, (-0.26, 0.27 * high, 0.26, 0.27 * high + 0.11), plate, None)


def paint_pedestrian(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A standing or walking pedestrian; arguments as in `paint_car`."""
    tall = rng.uniform(1.5, 1.9) if rng.random() < 0.85 else rng.uniform(1.0, 1.3)
    coat, trousers = (_CLOTHES[rng.integers(len(_CLOTHES))] for _ in range(2))
    skin, hair = _SKIN[rng.integers(len(_SKIN))], _HAIR[rng.integers(len(_HAIR))]
    stride, lean = rng.uniform(0.0, 0.24) * tall / 1.7, rng.uniform(-0.05, 0.05)
    k = tall / 1.75
    paint_shadow(canvas, x, 0.2, z - 0.15, z + 0.15, tall * 0.7)
    for side in (-1, 1):
        foot = side * (stride + 0.07)
        leg = [(foot - 0.07, 0.0), (foot + 0.1, 0.0), (side * 0.09 + 0.1, 0.86 * k), (side * 0.09 - 0.1, 0.86 * k)]
        canvas.flat(x, z, leg, trousers, PEDESTRIAN)
        canvas.flat(
            x, z, [(foot - 0.08, 0), (foot + 0.13, 0), (foot + 0.1, 0.09), (foot - 0.07, 0.09)], (26, 24, 24), None
        )
    hip, neck = 0.8 * k, 1.46 * k
    body = [
        (-0.19, hip),
        (0.19, hip),
        (0.22 + lean, neck - 0.06),
        (0.1 + lean, neck),
        (-0.1 + lean, neck),
        (-0.22 + lean, neck - 0.06),
    ]
    canvas.flat(x, z, body, coat, PEDESTRIAN, sunlit=0.7)
    darker = tinted(coat, 0.8)
    for side in (-1, 1):
        hand = side * (0.24 + rng.uniform(0, 0.12))
        arm = [
            (side * 0.19 + lean, neck - 0.05),
            (side * 0.27 + lean, neck - 0.1),
            (hand + 0.05, hip),
            (hand - 0.05, hip),
        ]
        canvas.flat(x, z, arm, darker, PEDESTRIAN, sunlit=0.6)
    canvas.blob((x + lean, neck + 0.15 * k, z), (0.1 * k, 0.14 * k), skin, PEDESTRIAN, sunlit=0.7)
    canvas.blob((x + lean, neck + 0.2 * k, z), (0.105 * k, 0.1 * k), hair, PEDESTRIAN)
    if rng.random() < 0.3:
        canvas.bar(x, z, (0.2, 0.55 * k, 0.45, 0.85 * k), _CLOTHES[rng.integers(len(_CLOTHES))], PEDESTRIAN)


def paint_bicyclist(canvas: Canvas, rng: np.random.Generator, x: float, z: float, crossing: bool) -> None:
    """Somebody on a bicycle, along the road or across it; else as `paint_car`."""
    coat, trousers = (_CLOTHES[rng.integers(len(_CLOTHES))] for _ in range(2))
    coat = (216, 222, 60) if rng.random() < 0.3 else coat
    skin, helmet = _SKIN[rng.integers(len(_SKIN))], _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    frame = _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    paint_shadow(canvas, x, 0.7 if crossing else 0.2, z - 0.2, z + (0.2 if crossing else 1.4), 1.2)
    if crossing:
        facing = 1 if rng.random() < 0.5 else -1
        for u in (-0.52, 0.52):
            canvas.blob((x + u, 0.34, z), (0.34, 0.34), (28, 28, 30), BICYCLIST, rim_m=0.06)
        tubes = (((-0.52, 0.34), (-0.1, 0.36)), ((-0.1, 0.36), (-0.2, 0.86)), ((-0.2, 0.8), (0.38, 0.84)))
        for (u1, v1), (u2, v2) in (*tubes, ((-0.1, 0.36), (0.38, 0.8)), ((0.38, 1.0), (0.52, 0.34))):
            line = [(u1, v1 - 0.03), (u2, v2 - 0.03), (u2, v2 + 0.03), (u1, v1 + 0.03)]
            line = [*line[:2], (line[2][0] + 0.03, line[2][1]), (line[3][0] + 0.03, line[3][1])]
            canvas.flat(x, z, [(facing * u, v) for u, v in line], frame, BICYCLIST)
        leg = [(-0.26, 0.92), (-0.05, 0.98), (0.2, 0.62), (0.02, 0.2), (-0.06, 0.22), (0.06, 0.6)]
        body = [(-0.3, 0.9), (-0.06, 0.9), (0.24, 1.36), (0.1, 1.5), (-0.08, 1.4)]
        arm = [(0.08, 1.4), (0.2, 1.38), (0.44, 1.04), (0.36, 0.98)]
        for outline, colour in ((leg, trousers), (body, coat), (arm, tinted(coat, 0.85))):
            canvas.flat(x, z, [(facing * u, v) for u, v in outline], colour, BICYCLIST, sunlit=0.7)
        head = x + facing * 0.24
    else:
        canvas.bar(x, z, (-0.045, 0.0, 0.045, 0.7), (26, 26, 28), BICYCLIST)
        canvas.bar(x, z, (-0.3, 1.0, 0.3, 1.05), (40, 40, 42), BICYCLIST)
        for side in (-1, 1):
            low = 0.2 + 0.2 * (side > 0)
            leg = [(side * 0.06, low), (side * 0.17, low), (side * 0.2, 0.95), (side * 0.03, 0.95)]
            canvas.flat(x, z, leg, trousers, BICYCLIST)
            arm = [(side * 0.2, 1.4), (side * 0.28, 1.34), (side * 0.32, 1.02), (side * 0.24, 1.0)]
            canvas.flat(x, z, arm, coat, BICYCLIST)
        canvas.flat(
            x,
            z,
            [(-0.18, 0.88), (0.18, 0.88), (0.23, 1.36), (0.1, 1.5), (-0.1, 1.5), (-0.23, 1.36)],
            coat,
            BICYCLIST,
            sunlit=0.7,
        )
        head = x
    canvas.blob((head, 1.62, z), (0.1, 0.14), skin, BICYCLIST)
    canvas.blob((head, 1.69, z), (0.12, 0.09), helmet, BICYCLIST, sunlit=0.8)
