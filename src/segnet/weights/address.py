"""Addresses of weights elsewhere: `hf://owner/repo[@revision][/file]` and `https://...#sha256=HEX`."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from segnet.errors import WeightsError

_HUB = re.compile(r"hf:/{1,2}(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/@]+))?(?:/(?P<file>[^@]+))?")
_HUB_FORM = "hf://owner/repo, with @revision and /file.safetensors where needed"
_WEB_FORM = "https://host/W.safetensors#sha256=HEX, with the 64 hexadecimal digits that its publisher gives"


@dataclass(frozen=True)
class HubAddress:
    """A repository of models on the Hugging Face hub.

    Attributes:
        repo: `owner/name`.
        revision: a branch, a tag or a commit; None is the default branch.
        file: path of a `.safetensors` file within; None takes the only one, or `model.safetensors`.
    """

    repo: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repo}{revision}" + (f"/{self.file}" if self.file else "")


@dataclass(frozen=True)
class WebAddress:
    """A file on a web server, and what it must be.

    Attributes:
        url: without the hash.
        file: its last name.
        sha256: 64 hexadecimal digits.
    """

    url: str
    file: str
    sha256: str


def parse_address(text: str | Path) -> HubAddress | WebAddress | None:
    """What an address says; None for anything that is no address: names and paths.

    A slash of `//` may be missing, as in an address that was made a `Path`.

    Raises:
        WeightsError: it begins as an address and is none; no safetensors file; a web address without its hash.
    """
    scheme = re.match(r"(hf|https?):/", str(text))
    if not scheme:
        return None
    return _hub_address(str(text)) if scheme[1] == "hf" else _web_address(str(text))


def _hub_address(text: str) -> HubAddress:
    match = _HUB.fullmatch(text)
    if not match:
        raise WeightsError(f"address '{text}': expected {_HUB_FORM}")
    revision = unquote(match["revision"]) if match["revision"] else None  # as in hf://o/r@refs%2Fpr%2F1
    _require_safetensors(text, match["file"] or "model.safetensors")
    return HubAddress(match["repo"], revision, match["file"])


def _web_address(text: str) -> WebAddress:
    parts = urlsplit(re.sub(r"^(https?):/(?=[^/])", r"\1://", text))
    file = unquote(PurePosixPath(parts.path).name)
    hash_given = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", parts.fragment)
    if not parts.netloc or not file or not hash_given:
        raise WeightsError(f"address '{text}': expected {_WEB_FORM}")
    _require_safetensors(text, file)
    return WebAddress(urlunsplit(parts._replace(fragment="")), file, hash_given[1].lower())


def _require_safetensors(text: str, file: str) -> None:
    if not file.endswith(".safetensors"):
        raise WeightsError(f"address '{text}': only .safetensors files are fetched; a pickle can run code")
