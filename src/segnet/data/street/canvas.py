"""Draws street scenes: a camera, the light, and methods that draw into image and labels at once.

The world is measured in metres: x to the right of the road's middle, y up from the road, z ahead of the camera. What is
painted later covers what was painted before, so a scene is painted from far to near.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from segnet.labels import CAMVID_11, VOID, Colour

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(CAMVID_11.num_classes)
NEAR_M = 0.8

Point = tuple[float, float, float]
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """The light of the hour.

    Attributes:
        ambient: factors on R, G and B everywhere.
        sun: added to them where the sun shines.
        sun_side: -1 when the sun stands at the left, 1 at the right.
        casts: darkness of shadows, 0..1.
        sky_top: colour overhead.
        sky_horizon: colour at the horizon, and of the haze.
        haze_per_m: how fast things fade into it.
        lit_windows: share of windows, and of lamps, that are lit.
    """

    ambient: Rgb
    sun: Rgb
    sun_side: int
    casts: float
    sky_top: Rgb
    sky_horizon: Rgb
    haze_per_m: float
    lit_windows: float


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the road.

    Attributes:
        focal_px: focal length.
        centre_px: (x, y) of the point straight ahead; y is the horizon.
        x_m: position across the road.
        height_m: above the road.
        bend_per_m: the road bends aside by this times z squared.
    """

    focal_px: float
    centre_px: tuple[float, float]
    x_m: float
    height_m: float
    bend_per_m: float

    def project(self, point: Point) -> tuple[float, float]:
        """The position (x, y) in the image; the point must lie ahead."""
        x, y, z = point
        scale = self.focal_px / z
        return (
            self.centre_px[0] + (x - self.x_m + self.bend_per_m * z * z) * scale,
            self.centre_px[1] - (y - self.height_m) * scale,
        )


class Canvas:
    """Image and labels of one scene, both as large as the scene is painted.

    Args:
        size_px: (height, width).
        camera: with its numbers for this size.
        light: of the hour.
    """

    def __init__(self, size_px: tuple[int, int], camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        self._mist = light.sky_horizon
        self.image = Image.new("RGB", size_px[::-1])
        self.labels = Image.new("L", size_px[::-1], VOID)
        self._colours = ImageDraw.Draw(self.image, "RGBA")
        self._ids = ImageDraw.Draw(self.labels)

    def shade(self, colour: Rgb, z: float, sunlit: float = 0.5) -> Colour:
        """A colour as it looks from here: in the light of the hour, and behind the haze of the distance.

        Args:
            colour: in plain white light, 0..255.
            z: distance in metres.
            sunlit: how squarely the sun meets the surface, 0..1.
        """
        clear = 1 / (1 + z * self.light.haze_per_m)
        red, green, blue = self.light.ambient
        sun_red, sun_green, sun_blue = self.light.sun
        mist = self._mist
        return (
            min(int(colour[0] * (red + sun_red * sunlit) * clear + mist[0] * (1 - clear)), 255),
            min(int(colour[1] * (green + sun_green * sunlit) * clear + mist[1] * (1 - clear)), 255),
            min(int(colour[2] * (blue + sun_blue * sunlit) * clear + mist[2] * (1 - clear)), 255),
        )

    def scale(self, z: float) -> float:
        """Pixels per metre at a distance."""
        return self.camera.focal_px / z

    def face(
        self,
        points: Sequence[Point],
        colour: Rgb,
        class_id: int | None,
        *,
        sunlit: float = 0.5,
        opacity: float = 1.0,
        glows: bool = False,
    ) -> None:
        """A flat polygon in the world.

        Args:
            points: its corners; what lies behind the camera is cut off.
            colour: in plain white light.
            class_id: what it is; None leaves the labels as they are (shadows, markings, windows).
            sunlit: as in `shade`.
            opacity: of the paint, 0..1.
            glows: shines by itself: neither light nor haze change the colour.
        """
        if any(p[2] < NEAR_M for p in points):
            points = _clipped(points)
            if len(points) < 3:
                return
        project = self.camera.project
        flat = [project(p) for p in points]
        z = (points[0][2] + points[len(points) // 2][2]) / 2
        paint = (round(colour[0]), round(colour[1]), round(colour[2])) if glows else self.shade(colour, z, sunlit)
        self._colours.polygon(flat, fill=paint if opacity >= 1 else (*paint, round(opacity * 255)))
        if class_id is not None:
            self._ids.polygon(flat, fill=class_id)

    def blob(
        self,
        centre: Point,
        radii: tuple[float, float],
        colour: Rgb,
        class_id: int | None,
        *,
        sunlit: float = 0.5,
        opacity: float = 1.0,
        glows: bool = False,
        rim_m: float = 0.0,
    ) -> None:
        """An ellipse that faces the camera.

        Args:
            centre: in the world.
            radii: across and up, in metres.
            colour: as in `face`, and so are the others.
            class_id: of the whole disc, also when only its rim is painted.
            sunlit: as in `shade`.
            opacity: of the paint, 0..1.
            glows: shines by itself.
            rim_m: paints a ring of this width instead of a disc.
        """
        if centre[2] < NEAR_M:
            return
        x, y = self.camera.project(centre)
        wide, high = radii[0] * self.scale(centre[2]), radii[1] * self.scale(centre[2])
        box = (x - wide, y - high, x + wide, y + high)
        paint = (
            (round(colour[0]), round(colour[1]), round(colour[2])) if glows else self.shade(colour, centre[2], sunlit)
        )
        full = paint if opacity >= 1 else (*paint, round(opacity * 255))
        if rim_m:
            self._colours.ellipse(box, outline=full, width=max(round(rim_m * self.scale(centre[2])), 1))
        else:
            self._colours.ellipse(box, fill=full)
        if class_id is not None:
            self._ids.ellipse(box, fill=class_id)

    def flat(
        self,
        x: float,
        z: float,
        outline: Sequence[tuple[float, float]],
        colour: Rgb,
        class_id: int | None,
        *,
        sunlit: float = 0.5,
        glows: bool = False,
    ) -> None:
        """A polygon that faces the camera: corners (across, up) in metres from the foot (x, 0, z)."""
        self.face([(x + u, v, z) for u, v in outline], colour, class_id, sunlit=sunlit, glows=glows)

    def bar(
        self, x: float, z: float, box: tuple[float, float, float, float], colour: Rgb, class_id: int | None
    ) -> None:
        """A rectangle (left, bottom, right, top) that faces the camera, in metres from the foot (x, 0, z)."""
        left, bottom, right, top = box
        self.flat(x, z, [(left, bottom), (right, bottom), (right, top), (left, top)], colour, class_id)

    def backdrop(self, image: Image.Image, class_id: int) -> None:
        """An image of one class behind everything, stretched to fit: the sky."""
        self.image.paste(image.resize(self.image.size, Image.Resampling.BILINEAR))
        self.labels.paste(class_id, (0, 0, *self.labels.size))

    def outline_px(self, points: Sequence[tuple[float, float]], colour: Colour, class_id: int) -> None:
        """A polygon given in pixels (x, y) of the painting."""
        self._colours.polygon(list(points), fill=colour)
        self._ids.polygon(list(points), fill=class_id)


def tinted(colour: Rgb, factor: float) -> Rgb:
    """A colour made brighter or darker."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _clipped(points: Sequence[Point]) -> list[Point]:
    """The part of a polygon that lies ahead of the camera (Sutherland and Hodgman)."""
    kept: list[Point] = []
    for first, second in zip(points, [*points[1:], points[0]], strict=True):
        if first[2] >= NEAR_M:
            kept.append(first)
        if (first[2] >= NEAR_M) != (second[2] >= NEAR_M):
            share = (NEAR_M - first[2]) / (second[2] - first[2])
            x, y = (a + share * (b - a) for a, b in zip(first[:2], second[:2], strict=True))
            kept.append((x, y, NEAR_M))
    return kept
