"""The web demo as a list of files: page, samples, models for the browser and their runtime.

The server answers with them, and `segnet export --to web` writes them; the page finds out by `site.json`.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from segnet.serve.browser_runtime import RUNTIME_FILES
from segnet.weights.file import WeightsCard

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
_STREETS, _STREET_SIZE_PX, _STREET_SEED = 4, (360, 480), 11
_SAMPLE_PX = 1280  # longest side of a user's sample
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
        samples: folder of images to offer beside the drawn streets.
        runtime: folder with onnxruntime-web; None leaves the browser's own computing out.
        why_no_browser: what the page says then.
        max_pixels: the server's limit for an image; None where there is no server.

    Raises:
        DataError: no images in `samples`.
    """
    shown = [*_streets(), *(_user_samples(samples) if samples else ())]
    assets = {name: _asset(name, read) for name, read in _page_files()}
    assets |= {url: _asset(url, read) for url, _, read in shown}
    records = []
    for number, offer in enumerate(offers):
        here = runtime is not None and not offer.quantised
        url = f"models/{number}.onnx"
        if here:
            assets[url] = _asset(url, _once(partial(_exported, offer.weights)))
        records.append(_record(offer, url if here else None))
    for name in RUNTIME_FILES if runtime else ():
        assets[f"ort/{name}"] = _asset(name, (runtime / name).read_bytes)  # type: ignore[operator]
    site = {
        "models": records,
        "samples": [{"url": url, "name": name} for url, name, _ in shown],
        "runtime": f"ort/{RUNTIME_FILES[0]}" if runtime else None,
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


def _streets() -> list[tuple[str, str, Callable[[], bytes]]]:
    drawn = Street(_STREETS, _STREET_SIZE_PX, _STREET_SEED)
    return [
        (f"samples/street-{i}.png", f"drawn street {i + 1}", _once(partial(_drawn, drawn, i)))
        for i in range(len(drawn))
    ]


def _drawn(street: Street, index: int) -> bytes:
    return _png(Image.fromarray(street[index].image))


def _user_samples(folder: Path) -> list[tuple[str, str, Callable[[], bytes]]]:
    paths = find_images([folder])[:_MOST_SAMPLES]
    return [(f"samples/{i}.png", path.stem, _once(partial(_small, path))) for i, path in enumerate(paths)]


def _small(path: Path) -> bytes:
    image = Image.fromarray(read_image(path))
    image.thumbnail((_SAMPLE_PX, _SAMPLE_PX))
    return _png(image)


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, format="PNG")
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
    }
