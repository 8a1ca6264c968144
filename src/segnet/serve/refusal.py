"""How the service says no: a status, and a JSON body with what was expected, what came, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, Field


class Refused(BaseModel):
    """The JSON body of every answer of 4xx and 5xx."""

    error: str = Field(description="a word for programs", examples=["not_an_image"])
    expected: str = Field(examples=["a PNG, JPEG, WebP, GIF, BMP or TIFF image"])
    got: str = Field(examples=["1 byte that begins with 78"])
    do: str = Field(description="what to do", examples=["send the image's own bytes"])


class RefusalError(Exception):
    """Ends a request with a status of 4xx or 5xx.

    Args:
        status: of HTTP.
        error: a word for programs, such as `not_an_image`.
        expected: what the service takes.
        got: what it got.
        do: the remedy.
        headers: further ones.
    """

    def __init__(
        self, status: HTTPStatus, error: str, expected: str, got: str, do: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: expected {expected}, got {got}; {do}")
        self.status = status
        self.body = Refused(error=error, expected=expected, got=got, do=do)
        self.headers = dict(headers or {})


def overfull(status: HTTPStatus, expected: str, got: str, retry_after_s: int) -> RefusalError:
    """The service has no time now; the header `Retry-After` says when to come again.

    Args:
        status: 429 before an image is taken, 503 after.
        expected: as in `RefusalError`.
        got: as in `RefusalError`.
        retry_after_s: seconds, at least 1.
    """
    error = "busy" if status == HTTPStatus.TOO_MANY_REQUESTS else "too_slow"
    do = f"ask again in {retry_after_s} s"
    return RefusalError(status, error, expected, got, do, {"Retry-After": str(retry_after_s)})
