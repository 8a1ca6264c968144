"""What stands along a drawn street: trees, hedges, poles, signs, fences, bins; and the shadow of a thing."""

import numpy as np

from segnet.data.street.canvas import FENCE, POLE, SIGN, TREE, Canvas, Point, Rgb, tinted
from segnet.labels import VOID

_LEAVES: tuple[Rgb, ...] = ((74, 104, 48), (92, 118, 54), (58, 92, 56), (126, 122, 54), (120, 92, 50))
_METAL: Rgb = (98, 102, 104)


def paint_shadow(canvas: Canvas, x: float, half: float, near: float, far: float, height_m: float) -> None:
    """Dark ground below a thing, and beside it where the sun casts."""
    soft = [(x - half - 0.1, 0.02, near - 0.2), (x + half + 0.1, 0.02, near - 0.2)]
    soft += [(x + half + 0.1, 0.02, far + 0.1), (x - half - 0.1, 0.02, far + 0.1)]
    canvas.face(soft, (8, 8, 12), None, opacity=0.55)
    if canvas.light.casts > 0.2:
        away = -canvas.light.sun_side * (half + height_m * 0.8)
        cast = [(x, 0.02, near), (x + away, 0.02, near + 0.4), (x + away, 0.02, far), (x, 0.02, far)]
        canvas.face(cast, (10, 10, 24), None, opacity=canvas.light.casts)


def paint_tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float, height_m: float) -> None:
    """A trunk with a crown of leaves, light on the side of the sun."""
    bark: Rgb = (88, 74, 60)
    green = _LEAVES[rng.integers(len(_LEAVES))]
    radius = height_m * rng.uniform(0.24, 0.34)
    middle = height_m - radius
    thick = 0.05 + height_m * 0.018
    paint_shadow(canvas, x, radius * 0.6, z - 0.5, z + 0.8, height_m * 0.4)
    canvas.flat(x, z, [(-thick * 1.5, 0), (thick * 1.5, 0), (thick, middle), (-thick, middle)], bark, TREE, sunlit=0.4)
    deep = tinted(green, 0.6)
    canvas.blob((x, middle, z), (radius * 0.72, radius * 0.8), deep, TREE, sunlit=0.1)
    _leaves(canvas, rng, (x, middle, z), (radius, radius * 1.08), green)


def _leaves(canvas: Canvas, rng: np.random.Generator, centre: Point, radii: tuple[float, float], green: Rgb) -> None:
    """Tufts of leaves within an ellipse: dark ones below and behind, bright ones above and towards the sun."""
    size_px = (radii[0] + radii[1]) * canvas.scale(centre[2])
    tufts = int(min(max(size_px * 0.45, 8), 190))
    place = rng.uniform(-1, 1, (tufts * 2, 2))
    place = place[(place**2).sum(axis=1) < 1][:tufts]
    tone, share = rng.uniform(-0.14, 0.14, len(place)), rng.uniform(0.09, 0.25, len(place))
    for (u, v), odd, s in sorted(
        zip(place.tolist(), tone.tolist(), share.tolist(), strict=True), key=lambda t: t[0][1]
    ):
        bright = 0.84 + 0.22 * v + 0.16 * u * canvas.light.sun_side + odd
        colour = (green[0] * bright, green[1] * bright, green[2] * bright)
        tuft = (centre[0] + u * radii[0], centre[1] + v * radii[1], centre[2])
        canvas.blob(tuft, (radii[0] * s, radii[1] * s * 0.85), colour, TREE, sunlit=0.3 + 0.4 * max(v, 0))


def paint_hedge(canvas: Canvas, rng: np.random.Generator, x: float, z1: float, z2: float, height_m: float) -> None:
    """A hedge along the road, at x, from z1 to z2."""
    green = _LEAVES[rng.integers(3)]
    canvas.face([(x, 0, z1), (x, 0, z2), (x, height_m, z2), (x, height_m, z1)], tinted(green, 0.75), TREE)
    z = z2
    while z > max(z1, 1.0):
        bush = 0.4 + 0.03 * z  # farther away, fewer and larger ones look the same
        _leaves(canvas, rng, (x, height_m * 0.75, z), (bush, height_m * 0.4), green)
        z -= 1.8 * bush


def paint_lamp_post(canvas: Canvas, rng: np.random.Generator, x: float, z: float, side: int) -> None:
    """A tall thin post with an arm over the road."""
    high, reach = rng.uniform(6, 8.5), -side * rng.uniform(0.8, 1.8)
    canvas.bar(x, z, (-0.09, 0, 0.09, 1.2), _METAL, POLE)
    canvas.bar(x, z, (-0.06, 1.2, 0.06, high), _METAL, POLE)
    canvas.flat(x, z, [(0, high - 0.1), (reach, high + 0.25), (reach, high + 0.37), (0, high + 0.05)], _METAL, POLE)
    shines = canvas.light.lit_windows > 0.2
    low, top = high + 0.2, high + 0.38
    lamp = [(reach, low), (reach * 1.4, low), (reach * 1.4, top), (reach, top)]
    canvas.flat(x, z, lamp, (255, 226, 160) if shines else (170, 172, 170), POLE, glows=shines)


def paint_sign(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A traffic sign on its pole: round, triangular, or a board."""
    high = rng.uniform(2.2, 2.9)
    canvas.bar(x, z, (-0.045, 0, 0.045, high), _METAL, POLE)
    red, white, blue = (196.0, 28.0, 36.0), (238.0, 238.0, 234.0), (30.0, 78.0, 164.0)
    kind, r = int(rng.integers(5)), rng.uniform(0.32, 0.46)
    if kind < 3:
        canvas.blob((x, high, z), (r, r), blue if kind == 2 else red, SIGN, sunlit=0.7)
        if kind == 0:
            canvas.blob((x, high, z), (r * 0.72, r * 0.72), white, None, sunlit=0.7)
        canvas.bar(x, z, (-r * 0.5, high - r * 0.14, r * 0.5, high + r * 0.14), white if kind else (30, 30, 30), None)
    elif kind == 3:
        for share, colour in ((1.0, red), (0.62, white)):
            k = r * 1.25 * share
            canvas.flat(
                x, z, [(-k, high - k * 0.6), (k, high - k * 0.6), (0, high + k * 1.1)], colour, SIGN, sunlit=0.7
            )
    else:
        wide, board = rng.uniform(0.5, 1.1), (blue, (30, 104, 66), white)[rng.integers(3)]
        canvas.bar(x, z, (-wide, high - 0.45, wide, high + 0.45), (220, 220, 216), SIGN)
        canvas.bar(x, z, (-wide + 0.06, high - 0.39, wide - 0.06, high + 0.39), board, SIGN)
        for v in (-0.2, 0.06):
            canvas.bar(x, z, (-wide * 0.7, high + v, wide * rng.uniform(0.2, 0.7), high + v + 0.12), white, None)


def paint_traffic_light(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Three lamps in a dark box on a pole."""
    canvas.bar(x, z, (-0.06, 0, 0.06, 2.4), (60, 62, 62), POLE)
    canvas.bar(x, z, (-0.24, 2.2, 0.24, 3.25), (26, 28, 28), SIGN)
    on = int(rng.integers(3))
    for i, colour in enumerate(((60, 220, 130), (255, 190, 50), (255, 50, 40))):
        dark = (colour[0] * 0.25, colour[1] * 0.25, colour[2] * 0.25)
        canvas.blob((x, 2.4 + 0.32 * i, z), (0.11, 0.11), colour if i == on else dark, None, glows=i == on)


def paint_fence(canvas: Canvas, rng: np.random.Generator, x: float, z1: float, z2: float) -> None:
    """A fence of boards, or railings, along the road at x; railings are a fence also where one sees through."""
    high = rng.uniform(1.0, 1.8)

    def panel(a: float, b: float, low: float, top: float) -> list[Point]:
        return [(x, low, a), (x, low, b), (x, top, b), (x, top, a)]

    if rng.random() < 0.5:
        wood = tinted((138, 106, 76), rng.uniform(0.8, 1.1))
        canvas.face(panel(z1, z2, 0, high), wood, FENCE, sunlit=0.4)
        for z in np.arange(z1, min(z2, 45), 0.45).tolist():
            canvas.face(panel(z, z + 0.07, 0, high), tinted(wood, 0.6), None)
        return
    metal: Rgb = (58, 66, 62) if rng.random() < 0.5 else (150, 154, 156)
    canvas.face(panel(z1, z2, 0.1, high), metal, FENCE, opacity=0.4)
    for low in (0.12, high - 0.08):
        canvas.face(panel(z1, z2, low, low + 0.08), metal, FENCE)
    for z in np.arange(z1, min(z2, 40), 0.32).tolist():
        canvas.face(panel(z, z + 0.06, 0.1, high), metal, FENCE)


def paint_bollard(canvas: Canvas, x: float, z: float) -> None:
    """A short post at the kerb."""
    canvas.bar(x, z, (-0.08, 0, 0.08, 1.0), (48, 50, 54), POLE)
    canvas.bar(x, z, (-0.08, 0.78, 0.08, 0.88), (226, 226, 220), None)


def paint_bin(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A bin or a box: a thing that none of the classes names, so it is void."""
    colour = ((52, 84, 60), (40, 44, 50), (150, 34, 38), (110, 86, 60))[rng.integers(4)]
    wide, high = rng.uniform(0.25, 0.45), rng.uniform(0.8, 1.3)
    paint_shadow(canvas, x, wide, z - 0.2, z + 0.4, high)
    canvas.bar(x, z, (-wide, 0, wide, high), colour, VOID)
    canvas.bar(x, z, (-wide * 1.08, high, wide * 1.08, high + 0.1), tinted(colour, 0.8), VOID)
