"""CVAT for video: each <track> is one object, with a shape in every frame in which it is seen.

CVAT writes the frames between two key frames too, so nothing is interpolated here. The images are `frame_000000.PNG`
and so on, which the export holds when "Save images" is chosen.
"""

import re
from pathlib import Path
from xml.etree.ElementTree import Element

from segnet.data.importers.annotations import ShapeImage
from segnet.data.importers.cvat_shapes import WITH_AREA, cvat_number, cvat_shapes
from segnet.data.importers.problems import Problems
from segnet.data.importers.source import ImageFinder
from segnet.errors import DataError
from segnet.io.text import whole_number

_FRAME = re.compile(r"frame_(\d{1,9})")


def read_frames(root: Element, path: Path, finder: ImageFinder, problems: Problems) -> list[ShapeImage]:
    """The frames of a video with the shapes of all tracks; frames whose image is there, with or without shapes.

    Args:
        root: the element <annotations>.
        path: of the file, for messages.
        finder: finds images below the folder of the export.
        problems: gets shapes that are broken, and frames with shapes whose image is missing.

    Raises:
        DataError: no size of the frames, or several tasks in one file, whose frames cannot be told apart.
    """
    tracks = list(root.iter("track"))
    if not tracks:
        return []
    sizes = list(root.iterfind("meta//original_size"))
    if len(sizes) != 1:
        raise DataError(
            f"{path} has tracks and {len(sizes)} elements <original_size>, expected one; export each task by itself as "
            "'CVAT for video 1.1'"
        )
    where = f"{path}: <original_size>"
    size_px = (_size(sizes[0], "height", where), _size(sizes[0], "width", where))
    seen = dict[int, list[tuple[str, Element]]]()
    for track in tracks:
        for element in track:
            if element.tag in WITH_AREA and element.get("outside", "0") != "1":
                with problems.collect():
                    frame = int(cvat_number(element, "frame", f"{path}: track {track.get('id', '')}"))
                    seen.setdefault(frame, []).append((track.get("label", ""), element))
    files = {int(m[1]): p for p in finder.images() if (m := _FRAME.fullmatch(p.stem))}
    images = []
    for frame in sorted(files.keys() | seen.keys()):
        with problems.collect():
            where = f"{path}: frame {frame}"
            if frame not in files:
                raise DataError(
                    f"{where} has shapes, but there is no image frame_{frame:06d} below {finder.root}; export with "
                    "'Save images'"
                )
            shapes = cvat_shapes(seen.get(frame, []), size_px, where, problems)
            images.append(ShapeImage(files[frame], shapes, path, size_px))
    return images


def _size(element: Element, key: str, where: str) -> int:
    text = (element.findtext(key) or "").strip()
    number = whole_number(text)
    if number is None:
        raise DataError(f"{where} has the {key} '{text[:60]}'; expected a number of pixels")
    return number
