"""Weights on the Hugging Face hub, through huggingface_hub (extra `hub`): its cache, retries, login and offline mode.

Only safetensors are fetched. Where the hub cannot be reached the cached copy is used, and that is said.
"""

import logging
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from segnet.errors import ConfigError, WeightsError
from segnet.weights.address import HubAddress

_PICKLES = (".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".npy")
_log = logging.getLogger(__name__)


@lru_cache(maxsize=64)  # one process asks once for an address, and stays with the revision it got
def fetch_from_hub(address: HubAddress) -> Path:
    """The file in the hub's cache, fetched where it is not there or not the newest of its branch.

    Raises:
        ConfigError: huggingface_hub is not installed.
        WeightsError: no such repository, revision or file; no permission; a repository with a pickle, unless a
            safetensors file in it is named; several files to choose from; or the hub is out of reach and nothing is
            cached.
    """
    hub = require_hub()
    errors = hub.errors
    try:
        siblings = hub.HfApi().model_info(address.repo, revision=address.revision).siblings or []
        file = _choose(address, [sibling.rfilename for sibling in siblings])
        return Path(
            hub.hf_hub_download(address.repo, file, revision=address.revision, cache_dir=hub.constants.HF_HUB_CACHE)
        )
    except errors.GatedRepoError:
        raise WeightsError(
            f"{address}: its owner gives access on request; ask at {_page(hub, address)}, then hf auth login"
        ) from None
    except errors.RevisionNotFoundError:
        raise WeightsError(f"{address}: the repository has no revision '{address.revision}'") from None
    except errors.RepositoryNotFoundError:
        raise WeightsError(
            f"{address}: no such repository, or a private one; check the name, or hf auth login"
        ) from None
    except (*unreachable(hub), errors.LocalEntryNotFoundError) as cause:
        return _cached(hub, address, cause)


def require_hub() -> ModuleType:
    """The package huggingface_hub.

    Raises:
        ConfigError: it is not installed; says how.
    """
    try:
        import_module("huggingface_hub.errors")
        return import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise ConfigError("weights on the hub need huggingface_hub; install it: pip install 'segnet[hub]'") from None


def unreachable(hub: ModuleType) -> tuple[type[Exception], ...]:
    """The errors of a hub that does not answer, or not with the requested file."""
    answered = hub.errors.HfHubHTTPError
    # Its first base is the root of the HTTP library's own errors, such as a refused connection.
    return (answered, answered.__bases__[0], hub.errors.OfflineModeIsEnabled, hub.errors.FileMetadataError)


def short(cause: BaseException) -> str:
    """The first line of an error of the hub, which may have many."""
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)[:200]


def _choose(address: HubAddress, files: Iterable[str]) -> str:
    """The file that the address names or means."""
    files = sorted(files)
    safe = [file for file in files if file.endswith(".safetensors")]
    told = ", ".join(safe) or "none"
    if address.file:
        if address.file not in files:
            raise WeightsError(f"{address}: no such file; the safetensors files there are: {told}")
        return address.file
    pickles = [file for file in files if file.endswith(_PICKLES)]
    if pickles:
        name_it = f"; to take a safetensors file beside it, name it: {address}/{safe[0]}" if safe else ""
        raise WeightsError(
            f"{address} holds a pickle ({pickles[0]}), which can run code; expected safetensors only{name_it}"
        )
    if "model.safetensors" in safe:
        return "model.safetensors"
    if len(safe) != 1:
        raise WeightsError(f"{address}: expected model.safetensors or one .safetensors file, got {told}; name the file")
    return safe[0]


def _cached(hub: ModuleType, address: HubAddress, cause: Exception) -> Path:
    """The copy in the cache of the requested revision."""
    requested = address.revision or "main"
    try:
        repos = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos
    except hub.errors.CacheNotFound:
        repos = frozenset()
    for repo in repos:
        if (repo.repo_type, repo.repo_id) != ("model", address.repo):
            continue
        for revision in repo.revisions:
            if requested not in revision.refs and not revision.commit_hash.startswith(requested):
                continue
            files = {file.file_path.relative_to(revision.snapshot_path).as_posix(): file for file in revision.files}
            name = _choose(address, files)
            _log.warning(
                "%s: the hub is not reached (%s); the cached copy is used, revision %s",
                address,
                short(cause),
                revision.commit_hash[:12],
            )
            return Path(files[name].file_path)
    raise WeightsError(
        f"{address}: the hub is not reached and no copy is cached ({short(cause)}); check the network and HF_ENDPOINT, "
        "or give a file"
    ) from None


def _page(hub: ModuleType, address: HubAddress) -> str:
    return f"{hub.HfApi().endpoint}/{address.repo}"
