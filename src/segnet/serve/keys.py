"""API keys: who may use the service, where its operator says so.

A key comes in `Authorization: Bearer KEY` or `X-API-Key: KEY`. Only hashes are kept, and they are compared in constant
time.
"""

import hashlib
import hmac
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request

from segnet.errors import ConfigError
from segnet.serve.refusal import RefusalError

_LEAST_CHARACTERS = 16


class ApiKeys:
    """The keys that are accepted.

    Args:
        keys: at least one; an empty list accepts every request.
    """

    def __init__(self, keys: list[str]) -> None:
        self._hashes = [_hash(key) for key in keys]

    def require(self, request: Request) -> None:
        """Whether a request carries one of the keys.

        Raises:
            RefusalError: 401, it does not.
        """
        if not self._hashes:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        hashed = _hash(given)
        if not sum(hmac.compare_digest(hashed, known) for known in self._hashes):  # all are compared: no early end
            expected, got = "an API key in Authorization: Bearer or X-API-Key", "an unknown one" if given else "none"
            do, headers = "ask the operator of this service for a key", {"WWW-Authenticate": "Bearer"}
            raise RefusalError(HTTPStatus.UNAUTHORIZED, "no_key", expected, got, do, headers)


def read_keys(path: Path) -> list[str]:
    """The keys of a file, one a line; empty lines and those that begin with `#` are skipped.

    Raises:
        ConfigError: the file cannot be read, has no key, or one that is too short to be secret.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError(f"--api-keys {path} cannot be read ({cause}); expected a text file, one key a line") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    short = [number for number, key in enumerate(keys, 1) if len(key) < _LEAST_CHARACTERS]
    if not keys or short:
        got = f"key {short[0]} is shorter" if short else "there is none"
        raise ConfigError(
            f"--api-keys {path}: expected keys of at least {_LEAST_CHARACTERS} characters, one a line, but {got}; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(24))'"
        )
    return keys


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
