"""Finds the images that a command line names, reads them in groups of one size, and names their results."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from segnet.data.reading.bands import AS_RGB, ImageReading
from segnet.data.reading.images import PIXEL_LIMIT, read_image
from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Lists the files as given, and for each folder the images directly in it, by name; each once.

    Raises:
        DataError: a path that does not exist, or a folder without images.
    """
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes and not _is_hidden(p))
            if not inside:
                raise DataError(f"no image in the folder {path}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path} does not exist; expected an image or a folder of images")
    return list(dict.fromkeys(found))


def _is_hidden(path: Path) -> bool:
    """Whether an entry is a folder or a hidden file, such as the `._X` files of macOS."""
    return path.name.startswith(".") or path.is_dir()


def output_stems(paths: Sequence[Path]) -> dict[Path, str]:
    """Chooses a file stem for the results of each image: its own, or a longer one where two would be equal.

    Raises:
        ConfigError: two images with equal names, suffixes and folder names.
    """
    stems: dict[Path, str] = {}
    for name in (lambda p: p.stem, lambda p: p.name.replace(".", "-"), lambda p: f"{p.resolve().parent.name}-{p.stem}"):
        open_paths = [p for p in paths if p not in stems]
        times = Counter([*map(name, open_paths), *stems.values()])
        stems |= {p: name(p) for p in open_paths if times[name(p)] == 1}
    for path in paths:
        if path not in stems:
            raise ConfigError(f"results of {path} would overwrite those of another image; predict it by itself")
    return stems


def groups_of_one_size(
    paths: Iterable[Path], batch_size: int, pixel_limit: int = PIXEL_LIMIT, reading: ImageReading = AS_RGB
) -> Iterator[tuple[list[Path], list[Image8], list[DataError]]]:
    """Reads images and groups neighbours of equal size, at most `batch_size` together.

    An image of more pixels than the limit is reported like one that cannot be read.

    Yields:
        Paths, their images uint8 (H, W, C), and the errors of files that could not be read since the last group;
        a group may consist of errors alone.
    """
    group: list[Path] = []
    images: list[Image8] = []
    broken: list[DataError] = []
    for path in paths:
        try:
            image = read_image(path, pixel_limit, reading)
        except DataError as error:
            broken.append(error)
            continue
        if group and (len(group) == batch_size or images[0].shape != image.shape):
            yield group, images, broken
            group, images, broken = [], [], []
        group.append(path)
        images.append(image)
    if group or broken:
        yield group, images, broken
