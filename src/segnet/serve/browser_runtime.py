"""onnxruntime-web, which runs models in the browser: where its files are, and how they come there.

It is not part of this package. A folder named by the user, or the cache folder, holds some files of its `dist/`; npm
fetches them into the cache when told to. Three of them run models by WebAssembly, in every browser. Three more run them
by WebGPU; without these the page offers WebAssembly only.
"""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from segnet.errors import ConfigError
from segnet.io.files import cache_folder, whole_file

VERSION = "1.30.0"
# The module that a page imports comes first, the binary that it needs last.
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU_FILES = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_NPM_S = 300


def find_runtime(folder: str = "") -> Path:
    """The folder with onnxruntime-web's files.

    Args:
        folder: of the user; `npm` fetches the files into the cache folder if they are not there; empty looks there.

    Raises:
        ConfigError: a file is missing; says which, and what to do. Or npm does not fetch them.
        DataError: the cache folder cannot be written.
    """
    kept = cache_folder() / f"onnxruntime-web-{VERSION}"
    place = Path(folder).expanduser() if folder not in ("", "npm") else kept
    missing = _missing(place, RUNTIME_FILES)
    if folder == "npm":
        if missing or _missing(place, WEBGPU_FILES):
            _fetch(kept)
    elif missing:
        raise ConfigError(
            f"onnxruntime-web, which runs the model in the browser, is not in {place}: no {', '.join(missing)}; give "
            f"--runtime npm to fetch {VERSION} by npm, or copy the files there from dist/ of the npm package"
        )
    return place


def runtimes(folder: Path) -> dict[str, tuple[str, ...]]:
    """What runs models in the browser from a folder of `find_runtime`: the files of each way, by its name there."""
    ways = {"wasm": RUNTIME_FILES, "webgpu": WEBGPU_FILES}
    return {name: files for name, files in ways.items() if not _missing(folder, files)}


def _missing(folder: Path, files: tuple[str, ...]) -> list[str]:
    return [name for name in files if not (folder / name).is_file()]


def _fetch(kept: Path) -> None:
    files = RUNTIME_FILES + WEBGPU_FILES
    npm = shutil.which("npm")
    if not npm:
        raise ConfigError(
            f"--runtime npm: no npm here; install it, or copy {', '.join(files)} from dist/ of the npm "
            f"package onnxruntime-web {VERSION} to {kept}"
        )
    with tempfile.TemporaryDirectory() as room:
        command = [npm, "pack", "--silent", f"onnxruntime-web@{VERSION}"]
        try:
            told = subprocess.run(command, cwd=room, capture_output=True, text=True, check=True, timeout=_NPM_S)
            with tarfile.open(Path(room) / told.stdout.split()[-1]) as archive:
                members = {name: archive.extractfile(f"package/dist/{name}") for name in files}
                found = {name: member.read() for name, member in members.items() if member}
        except (subprocess.SubprocessError, OSError, IndexError, KeyError, tarfile.TarError) as cause:
            raise ConfigError(
                f"--runtime npm: npm does not fetch onnxruntime-web {VERSION} ({cause}); copy "
                f"{', '.join(files)} from dist/ of that package to {kept}"
            ) from None
    for name, content in found.items():
        with whole_file(kept / name) as temporary:
            temporary.write_bytes(content)
