"""Where weights are: by name, by path, in a folder of `save_pretrained`, or at an address that is fetched once."""

from functools import lru_cache
from pathlib import Path

from segnet.errors import WeightsError, nearest
from segnet.io.download import download
from segnet.io.files import cache_folder, is_file, sha256_of
from segnet.weights.address import HubAddress, WebAddress, parse_address
from segnet.weights.hub import fetch_from_hub
from segnet.weights.named import WEIGHTS, NamedWeights

PICKLES = frozenset({".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".bin"})
PRETRAINED_FILE = "model.safetensors"
_PACKAGE = Path(__file__).parent
_LOCAL = Path("weights")  # of the current directory, such as a checkout


def find_weights(name_or_path: str | Path, cache: Path | None = None) -> Path:
    """The file of named weights, of an address, of a folder of `save_pretrained`, or the path that was given.

    Args:
        name_or_path: a key of `WEIGHTS`; a path; `hf://owner/repo[@revision][/file]`, through huggingface_hub and its
            cache; or `https://.../W.safetensors#sha256=HEX`, kept in `cache`.
        cache: folder of downloaded files; None takes `cache_folder()`.

    Raises:
        WeightsError: unknown name, no such file (says where it was searched), a file with another hash, an address
            that is malformed, cannot be reached and is not in the cache, or holds no safetensors.
        ConfigError: the hub is requested without the extra `hub`.
        DataError: something has to be downloaded and the cache folder cannot be written.
    """
    address = parse_address(name_or_path)
    if isinstance(address, HubAddress):
        return fetch_from_hub(address)
    if isinstance(address, WebAddress):
        return _fetch_from_web(address, cache or cache_folder())
    if str(name_or_path) in WEIGHTS:
        return _find_named(str(name_or_path), WEIGHTS[str(name_or_path)], cache or cache_folder())
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if is_file(path / PRETRAINED_FILE):
            return path / PRETRAINED_FILE
        raise WeightsError(
            f"{path} is a folder without {PRETRAINED_FILE}; give the .safetensors file in it, such as best.safetensors"
        )
    if path.is_file():
        return path
    if path.suffix or path.name != str(name_or_path):
        raise WeightsError(f"no weights file at {path}; check the path, or give one of {', '.join(WEIGHTS)}")
    raise WeightsError(f"unknown weights '{name_or_path}'; {nearest(str(name_or_path), WEIGHTS)}")


def _find_named(name: str, named: NamedWeights, cache: Path) -> Path:
    folders = (_PACKAGE, _LOCAL, cache)
    found = [folder / named.file for folder in folders if is_file(folder / named.file)]
    if not found and named.url and named.sha256:
        found = [_fetch_named(named.url, cache / named.file, named.sha256)]
    if not found:
        searched = ", ".join(str(folder.resolve()) for folder in folders)
        where = f"; {named.place}" if named.place else ""
        hash_told = f"; its sha256 is {named.sha256}" if named.sha256 else ""
        raise WeightsError(
            f"the weights '{name}' are not installed: no {named.file} in {searched}{where}; put the file into one of "
            f"these folders{hash_told}"
        )
    if named.sha256 and (sha256 := _sha256(found[0])) != named.sha256:
        raise WeightsError(
            f"{found[0]} is not '{name}': sha256 {sha256[:16]}..., expected {named.sha256[:16]}...; "
            "fetch it again, or give other weights another file name"
        )
    return found[0]


def _fetch_named(url: str, path: Path, sha256: str) -> Path:
    address = parse_address(url)
    if isinstance(address, HubAddress):
        return fetch_from_hub(address)
    download(url, path, sha256)
    return path


def _fetch_from_web(address: WebAddress, cache: Path) -> Path:
    """The file in the cache, whose name begins with its hash: no network where it was fetched before."""
    path = cache / "web" / f"{address.sha256[:16]}-{address.file}"
    if not (is_file(path) and _sha256(path) == address.sha256):
        download(address.url, path, address.sha256)
    return path


def _sha256(path: Path) -> str:
    """As `sha256_of`, once for a file that does not change."""
    facts = path.stat()
    return _sha256_of_unchanged(path.resolve(), facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _sha256_of_unchanged(path: Path, modified_ns: int, size: int) -> str:
    return sha256_of(path)
