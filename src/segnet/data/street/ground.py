"""What a drawn street stands between: sky, ground and road with its markings, buildings, the far end of the view."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from segnet.data.street.canvas import BUILDING, PAVEMENT, ROAD, SKY, TREE, Canvas, Point, Rgb, tinted

FAR_M = 140.0

_STATIONS = (0.5, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 60, 80, 105, FAR_M)
_WALLS: tuple[Rgb, ...] = (
    (152, 86, 68),
    (174, 116, 86),
    (192, 166, 124),
    (224, 212, 188),
    (158, 154, 148),
    (230, 227, 220),
    (196, 204, 206),
    (206, 178, 150),
    (128, 96, 84),
)
_ROOFS: tuple[Rgb, ...] = ((96, 98, 106), (148, 84, 66), (118, 92, 80))
_SHOPS: tuple[Rgb, ...] = ((40, 84, 60), (150, 36, 40), (34, 56, 110), (60, 58, 60), (200, 150, 40), (110, 60, 110))


def paint_sky(canvas: Canvas, rng: np.random.Generator, clouds: float) -> None:
    """A gradient down to the horizon, with clouds.

    Args:
        canvas: empty so far.
        rng: the random generator.
        clouds: how much of the sky they take, 0..1.
    """
    width, height = (max(side // 4, 2) for side in canvas.image.size)  # soft enough to be made small
    horizon = max(canvas.camera.centre_px[1] / 4, 2.0)
    down = (np.arange(height, dtype=np.float32) / horizon).clip(0, 1)[:, None, None]  # (h, 1, 1)
    top, low = (np.array(c, np.float32) for c in (canvas.light.sky_top, canvas.light.sky_horizon))
    sky = top + (low - top) * down
    heap = np.zeros((height, width), np.float32)
    for cells, share in ((5, 0.6), (11, 0.28), (25, 0.12)):
        grid = Image.fromarray(rng.integers(0, 256, (max(cells * 2 // 3, 2), cells), dtype=np.uint8))
        heap += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32) * np.float32(share / 255)
    cover = ((heap - np.float32(0.75 - 0.5 * clouds)) * 5).clip(0, 1)[..., None] * np.float32(0.85)
    white = low * np.float32(0.45) + np.float32(255 * 0.55) * (low / low.max())
    shaded = white - heap[..., None] * np.float32(24)
    canvas.backdrop(Image.fromarray((sky + (shaded - sky) * cover).clip(0, 255).astype(np.uint8)), SKY)


def paint_far_end(canvas: Canvas, rng: np.random.Generator) -> None:
    """What closes the view: roofs and trees along the horizon."""
    for z in (FAR_M + 40, FAR_M + 10):
        x = -110.0
        while x < 110:
            wide, high = rng.uniform(5, 16), rng.uniform(4, 11)
            if rng.random() < 0.5:
                for _ in range(4):
                    place = (x + rng.uniform(0, wide), high * rng.uniform(0.4, 0.7), z)
                    canvas.blob(place, (wide * 0.4, high * 0.45), (70, 88, 58), TREE)
                canvas.bar(x, z, (0, -1, wide, high * 0.5), (66, 84, 56), TREE)
            else:
                wall = _WALLS[rng.integers(len(_WALLS))]
                canvas.bar(x, z, (0, -1, wide, high), wall, BUILDING)
                roof = [(0.0, high), (wide * 0.5, high + 2.5), (wide, high)]
                canvas.flat(x, z, roof, _ROOFS[rng.integers(len(_ROOFS))], BUILDING)
            x += wide * rng.uniform(0.7, 1.2)


def strip(
    canvas: Canvas, x1: float, x2: float, colour: Rgb, class_id: int | None, y: float = 0.0, **paint: float
) -> None:
    """A band along the whole road, from x1 to x2 across, at height y."""
    _band(
        canvas, [(x1, y, float(z)) for z in _STATIONS], [(x2, y, float(z)) for z in _STATIONS], colour, class_id, paint
    )


def _band(
    canvas: Canvas, left: list[Point], right: list[Point], colour: Rgb, class_id: int | None, paint: dict[str, float]
) -> None:
    opacity, sunlit = paint.get("opacity", 1.0), paint.get("sunlit", 0.8)
    for i in range(len(left) - 2, -1, -1):
        corners = [left[i], right[i], right[i + 1], left[i + 1]]
        canvas.face(corners, colour, class_id, opacity=opacity, sunlit=sunlit)


def paint_road(canvas: Canvas, rng: np.random.Generator, half_m: float, pavement_m: tuple[float, float]) -> None:
    """Grass to the sides, pavements with their kerbs, the road, its patches and its markings.

    Args:
        canvas: sky and far end painted.
        rng: the random generator.
        half_m: half the width of the road.
        pavement_m: widths of the left and of the right pavement.
    """
    grass = tinted((104, 122, 72), rng.uniform(0.85, 1.1))
    canvas.face([(-300, 0, 1), (300, 0, 1), (300, 0, FAR_M + 60), (-300, 0, FAR_M + 60)], grass, TREE, sunlit=0.8)
    slab = rng.uniform(140, 176)
    tar = rng.uniform(84, 122)
    warm = rng.uniform(-6, 8)
    for side, wide in zip((-1, 1), pavement_m, strict=True):
        strip(canvas, side * half_m, side * (half_m + wide), (slab + 6, slab, slab - 6), PAVEMENT, 0.1)
        for z in np.arange(2.4, 26, 1.2).tolist():
            ends = [(side * half_m, 0.1, z), (side * (half_m + wide), 0.1, z)]
            seam = [*ends, *[(x, y, z + 0.05) for x, y, z in reversed(ends)]]
            canvas.face(seam, (slab - 40, slab - 42, slab - 44), None, opacity=0.6)
    strip(canvas, -half_m, half_m, (tar + warm, tar, tar - warm), ROAD)
    for side in (-1, 1):  # the kerb stands up, so its face is seen
        low = [(side * half_m, 0.0, float(z)) for z in _STATIONS]
        high = [(side * (half_m + 0.14), 0.12, float(z)) for z in _STATIONS]
        _band(canvas, low, high, (slab + 22, slab + 20, slab + 14), PAVEMENT, {"sunlit": 0.6})
    for lane in (-0.72, -0.28, 0.28, 0.72):  # where wheels run
        shine = rng.uniform(0.05, 0.2)
        strip(canvas, half_m * lane - 0.3, half_m * lane + 0.3, (tar + 34, tar + 32, tar + 32), None, opacity=shine)
    for _ in range(int(rng.integers(1, 6))):  # where it was mended
        x, z, wide, deep = rng.uniform(-half_m, half_m - 1), rng.uniform(4, 40), rng.uniform(0.5, 2), rng.uniform(1, 7)
        dark = tar * rng.uniform(0.65, 1.15)
        right = min(x + wide, half_m)
        canvas.face(_ground(x, right, z, z + deep), (dark, dark, dark), None, opacity=0.6, sunlit=0.8)
    _paint_markings(canvas, rng, half_m)


def _ground(x1: float, x2: float, z1: float, z2: float, y: float = 0.01) -> list[Point]:
    return [(x1, y, z1), (x2, y, z1), (x2, y, z2), (x1, y, z2)]


def _paint_markings(canvas: Canvas, rng: np.random.Generator, half_m: float) -> None:
    white, yellow = (226.0, 226.0, 220.0), (214.0, 178.0, 60.0)
    worn = rng.uniform(0.6, 0.95)
    style = int(rng.integers(3))
    z = rng.uniform(0, 4)
    while z < 90:
        long = (2.0, 4.0, 9.0)[style]
        canvas.face(_ground(-0.08, 0.08, z, z + long), white, None, opacity=worn, sunlit=0.8)
        z += long + (4.0, 2.0, 0.0)[style]
    if rng.random() < 0.55:
        for side in (-1, 1):
            for x in (half_m - 0.28, half_m - 0.52)[: int(rng.integers(1, 3))]:
                strip(canvas, side * x - 0.05, side * x + 0.05, yellow, None, opacity=worn * 0.9)
    if rng.random() < 0.3:  # a zebra crossing
        z = rng.uniform(9, 26)
        for x in np.arange(-half_m + 0.3, half_m - 0.4, 1.1).tolist():
            canvas.face(_ground(x, x + 0.55, z, z + 2.8), white, None, opacity=worn, sunlit=0.8)
    elif rng.random() < 0.3:  # a line to stop at
        z = rng.uniform(10, 24)
        canvas.face(_ground(-half_m + 0.3, -0.1, z, z + 0.4), white, None, opacity=worn, sunlit=0.8)


def paint_building(
    canvas: Canvas, rng: np.random.Generator, side: int, x_m: float, z1: float, z2: float, height_m: float
) -> None:
    """A house front along the street, with roof, gable, rows of windows, and a door or a shop.

    Args:
        canvas: what is farther away is painted.
        rng: the random generator.
        side: -1 left, 1 right.
        x_m: of the front, from the middle of the road.
        z1: its near end.
        z2: its far end.
        height_m: up to the eaves.
    """
    wall = tinted(_WALLS[rng.integers(len(_WALLS))], rng.uniform(0.9, 1.08))
    roof = _ROOFS[rng.integers(len(_ROOFS))]
    sunlit = 1.0 if canvas.light.sun_side == -side else 0.0
    x, deep, rise = side * x_m, side * 9.0, rng.uniform(1.6, 3.2)

    def front(a: float, b: float, low: float, high: float) -> list[Point]:
        return [(x, low, a), (x, low, b), (x, high, b), (x, high, a)]

    ridge = x + deep / 2
    for place in rng.uniform(z1, z2, int(rng.integers(0, 3))).tolist():
        canvas.bar(ridge, max(place, z1 + 0.5), (-0.5, height_m, 0.5, height_m + rise + 1.3), (134, 84, 68), BUILDING)
    canvas.face(
        [(x, height_m, z1), (x, height_m, z2), (ridge, height_m + rise, z2), (ridge, height_m + rise, z1)],
        roof,
        BUILDING,
        sunlit=0.3 + 0.5 * sunlit,
    )
    gable = [(x, 0, z1), (x + deep, 0, z1), (x + deep, height_m, z1), (ridge, height_m + rise, z1), (x, height_m, z1)]
    canvas.face(gable, wall, BUILDING, sunlit=0.4)
    canvas.face(front(z1, z2, 0, height_m), wall, BUILDING, sunlit=sunlit)
    canvas.face(front(z1, z2, height_m - 0.35, height_m), tinted(wall, 0.72), None, sunlit=sunlit)
    if z1 < 30:
        for y in np.arange(0.7, height_m - 0.5, 0.7).tolist():  # courses of stone
            canvas.face(front(z1, z2, y, y + 0.06), (70, 60, 54), None, opacity=0.16, sunlit=sunlit)
    _paint_openings(canvas, rng, front, (z1, z2), height_m, sunlit)


def _paint_openings(
    canvas: Canvas,
    rng: np.random.Generator,
    front: Callable[[float, float, float, float], list[Point]],
    span: tuple[float, float],
    height_m: float,
    sunlit: float,
) -> None:
    """Windows, floor by floor, and what is at street level; `front(near, far, low, high)` is a panel of the wall."""
    near, far = span
    if near > 95:
        return
    frame: Rgb = (236, 234, 228) if rng.random() < 0.7 else (70, 60, 54)
    glass: Rgb = (62 + rng.uniform(-14, 24), 74 + rng.uniform(-14, 24), 88 + rng.uniform(-14, 30))
    columns = max(round((far - near) / rng.uniform(2.2, 3.4)), 1)
    step = (far - near) / columns
    wide, high = step * rng.uniform(0.36, 0.52), rng.uniform(1.3, 1.8)
    shop = rng.random() < 0.35
    floors = max(int(height_m / 3), 1)
    for floor in range(1 if shop else 0, floors):
        sill = floor * 3 + 0.9
        for column in range(columns):
            a = near + step * column + (step - wide) / 2
            if floor == 0 and column % 3 == 1:
                door = _SHOPS[rng.integers(len(_SHOPS))]
                canvas.face(front(a + wide * 0.1, a + wide * 0.9, 0, 2.3), door, None, sunlit=sunlit)
                continue
            if near < 50:
                canvas.face(
                    front(a - 0.12, a + wide + 0.12, sill - 0.18, sill + high + 0.1), frame, None, sunlit=sunlit
                )
            lit = rng.random() < canvas.light.lit_windows
            pane = (250.0, 206.0, 122.0) if lit else tinted(glass, rng.uniform(0.6, 1.25))
            canvas.face(front(a, a + wide, sill, sill + high), pane, None, sunlit=sunlit, glows=lit)
            if near < 35:
                middle = a + wide / 2
                canvas.face(front(middle - 0.05, middle + 0.05, sill, sill + high), frame, None, sunlit=sunlit)
    if shop:
        board = _SHOPS[rng.integers(len(_SHOPS))]
        canvas.face(front(near + 0.2, far - 0.2, 2.5, 3.2), board, None, sunlit=sunlit)
        lit = rng.random() < canvas.light.lit_windows * 1.5
        pane = (255.0, 226.0, 170.0) if lit else tinted(glass, 0.9)
        bay = (far - near) / max(columns // 2, 1)
        for i in range(max(columns // 2, 1)):
            a = near + bay * i
            canvas.face(front(a + 0.3, a + bay - 0.3, 0.5, 2.4), pane, None, sunlit=sunlit, glows=lit)
