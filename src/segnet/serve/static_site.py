"""The web demo as a folder for any web host: the model runs in the browser, and no server is needed."""

from pathlib import Path

from segnet.errors import ConfigError
from segnet.io.files import whole_files
from segnet.runtime.quantised import is_quantised
from segnet.serve.assets import Offer, require_exporter, site_assets
from segnet.serve.browser_runtime import find_runtime
from segnet.weights.file import WEIGHTS, find_weights, read_card

_OURS = "site.json"


def write_site(weights: str, out: Path, *, samples: Path | None = None, runtime: str = "") -> dict[str, int]:
    """Writes the demo; whole, or not at all.

    Args:
        weights: name of weights that ship, or a `.safetensors` file.
        out: folder; made, or replaced if an earlier demo is in it.
        samples: folder of images to offer before the drawn streets.
        runtime: as for `find_runtime`.

    Returns:
        Bytes of each file, by its path in the folder.

    Raises:
        ConfigError: the folder holds other things, the weights are quantised, or a tool is missing; says what to do.
        WeightsError: the weights cannot be read.
        ExportError: the model does not say in ONNX what it says in PyTorch.
        DataError: the folder cannot be written.
    """
    if out.exists() and not (out / _OURS).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} holds other things than a demo of segnet; give a folder that is new or empty")
    path = find_weights(weights)
    if is_quantised(path):
        raise ConfigError(f"{path} is quantised and runs on OpenVINO only; give the weights it was made from")
    require_exporter()
    name = weights if weights in WEIGHTS else path.stem
    offer = Offer(name, weights, read_card(path), server=None)
    assets = site_assets([offer], samples=samples, runtime=find_runtime(runtime))
    sizes = {}
    with whole_files(out) as room:
        for place, asset in assets.items():
            file = room / place
            file.parent.mkdir(parents=True, exist_ok=True)
            sizes[place] = file.write_bytes(asset.read())
    return sizes
