"""The web demo as a list of files: page, samples, models for the browser and their runtime.

The server answers with them, and `segnet export --to web` writes them; the page finds out by `site.json`.
"""

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from PIL import Image

from segnet.data.reading.images import read_image
from segnet.data.reading.listing import find_images
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError
from segnet.export import export_weights
from segnet.serve.browser_runtime import runtimes
from segnet.weights.file import WeightsCard

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
_STREET_SIZE_PX, _STREET_SEED = (360, 480), 11
# Of the first 80 scenes of that seed, four on which the weights that ship do well, best first: mIoU over the classes in
# the image 0.55, 0.49, 0.41 and 0.42; a visitor's first image should show what the model can do.
_STREETS = (9, 59, 30, 73)
_SAMPLE_PX = 1280  # longest side of a user's sample
_THUMB_PX = 240
_MOST_SAMPLES = 24


class Asset(NamedTuple):
    """One file of the demo.

    Attributes:
        media_type: for HTTP.
        read: gives its bytes; may take long the first time.
    """

    media_type: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Offer:
    """One model as the page offers it.

    Attributes:
        name: to show, and to ask the server for.
        weights: name or path; from which the model for the browser is exported.
        card: of the weights.
        server: how the server runs it, or None where there is no server.
        bayesian: whether the server can sample it.
        quantised: whether it is an int8 file, which stays on the server.
    """

    name: str
    weights: str
    card: WeightsCard
    server: str | None
    bayesian: bool = False
    quantised: bool = False


class _Sample(NamedTuple):
    """An image to try.

    Attributes:
        url: path in the demo, without its suffix.
        name: to show.
        image: makes it.
    """

    url: str
    name: str
    image: Callable[[], Image.Image]


def site_assets(
    offers: Sequence[Offer],
    *,
    samples: Path | None,
    runtime: Path | None,
    why_no_browser: str = "",
    max_pixels: int | None = None,
) -> dict[str, Asset]:
    """All files of the demo by their path in it.

    Args:
        offers: the models.
        samples: folder of images to offer before the drawn streets.
        runtime: folder with onnxruntime-web; None leaves the browser's own computing out.
        why_no_browser: what visitors are told then, a clause that names nothing of this machine.
        max_pixels: the server's limit for an image; None where there is no server.

    Raises:
        DataError: no images in `samples`.
    """
    shown = [*(_user_samples(samples) if samples else ()), *_streets()]  # a user's own come first
    assets = {name: _asset(name, read) for name, read in _page_files()}
    for sample in shown:
        for url, most_px in ((f"{sample.url}.jpg", _SAMPLE_PX), (f"{sample.url}-small.jpg", _THUMB_PX)):
            assets[url] = _asset(url, _once(partial(_jpeg, sample.image, most_px)))
    records = []
    for number, offer in enumerate(offers):
        here = runtime is not None and not offer.quantised
        url = f"models/{number}.onnx"
        if here:
            assets[url] = _asset(url, _once(partial(_exported, offer.weights)))
        records.append(_record(offer, url if here else None))
    ways = runtimes(runtime) if runtime else {}
    for name in sum(ways.values(), ()):
        assets[f"ort/{name}"] = _asset(name, (runtime / name).read_bytes)  # type: ignore[operator]
    site = {
        "models": records,
        "samples": [{"url": f"{s.url}.jpg", "thumb": f"{s.url}-small.jpg", "name": s.name} for s in shown],
        "runtime": {way: {"module": f"ort/{names[0]}", "binary": f"ort/{names[-1]}"} for way, names in ways.items()}
        if runtime
        else None,
        "why_no_browser": why_no_browser,
        "max_pixels": max_pixels,
    }
    text = json.dumps(site, indent=1).encode()
    return assets | {"site.json": _asset("site.json", lambda: text)}


def require_exporter() -> None:
    """Whether models for the browser can be made here.

    Raises:
        ConfigError: a package of the extra `onnx` is missing.
    """
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise ConfigError(f"models for the browser need {', '.join(missing)}; pip install 'segnet[onnx]'")


def _asset(name: str, read: Callable[[], bytes]) -> Asset:
    return Asset(_TYPES[Path(name).suffix], read)


def _once(read: Callable[[], bytes]) -> Callable[[], bytes]:
    """Keeps what was read; whoever comes meanwhile waits."""
    lock, kept = threading.Lock(), list[bytes]()

    def read_once() -> bytes:
        with lock:
            if not kept:
                kept.append(read())
            return kept[0]

    return read_once


def _page_files() -> list[tuple[str, Callable[[], bytes]]]:
    folder = resources.files("segnet.serve") / "page"
    return [(file.name, file.read_bytes) for file in folder.iterdir() if Path(file.name).suffix in _TYPES]


def _streets() -> list[_Sample]:
    drawn = Street(max(_STREETS) + 1, _STREET_SIZE_PX, _STREET_SEED)
    return [
        _Sample(f"samples/street-{number}", f"drawn street {number}", partial(_drawn, drawn, index))
        for number, index in enumerate(_STREETS, start=1)
    ]


@cache  # the image and its thumbnail are drawn once
def _drawn(street: Street, index: int) -> Image.Image:
    return Image.fromarray(street[index].image)


def _user_samples(folder: Path) -> list[_Sample]:
    paths = find_images([folder])[:_MOST_SAMPLES]
    return [_Sample(f"samples/{i}", path.stem, partial(_read, path)) for i, path in enumerate(paths)]


def _read(path: Path) -> Image.Image:
    return Image.fromarray(read_image(path))


def _jpeg(image: Callable[[], Image.Image], most_px: int) -> bytes:
    """An image as JPEG, scaled down to a longest side."""
    made = image().copy()
    made.thumbnail((most_px, most_px))
    file = BytesIO()
    made.save(file, format="JPEG", quality=92)
    return file.getvalue()


def _exported(weights: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_weights(weights, "onnx", path, size_px=None)
        return path.read_bytes()


def _record(offer: Offer, url: str | None) -> dict[str, object]:
    labels = offer.card.label_set
    return {
        "name": offer.name,
        "model": offer.card.model,
        "label_set": labels.name,
        "class_names": labels.names,
        "class_colours": labels.colours,
        "server": offer.server,
        "bayesian": offer.bayesian,
        "onnx": url,
        "card": _card(offer.card),
    }


def _card(card: WeightsCard) -> dict[str, object]:
    """What a visitor should know of the weights; JSON has no NaN, so scores that were not measured are left out."""
    return {
        "trained_on": card.trained_on,
        "licence": card.licence,
        "scores": {name: score for name, score in card.scores.items() if math.isfinite(score)},
        "class_iou": {name: score for name, score in card.class_iou.items() if math.isfinite(score)},
    }
