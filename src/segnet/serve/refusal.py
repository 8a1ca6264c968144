"""A request that is refused: an HTTP status, what was expected, what was received, and what to do.

Plain Python only: the processes that decode images import it too. `problem.py` turns it into an answer.
"""

from collections.abc import Mapping
from http import HTTPStatus


class RefusalError(Exception):
    """Ends a request with a status of 4xx or 5xx.

    Args:
        status: of HTTP.
        error: the kind, a word for programs, such as `not_an_image`.
        expected: what the service accepts.
        got: what it received.
        do: the remedy.
        headers: additional HTTP headers.
    """

    def __init__(
        self, status: HTTPStatus, error: str, expected: str, got: str, do: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: expected {expected}, got {got}; {do}")
        self.status = status
        self.error, self.expected, self.got, self.do = error, expected, got, do
        self.headers = dict(headers or {})


def overloaded(status: HTTPStatus, expected: str, got: str, retry_after_s: int) -> RefusalError:
    """The service has no capacity now; the header `Retry-After` says when to try again.

    Args:
        status: 429 before an image is accepted, 503 after.
        expected: as in `RefusalError`.
        got: as in `RefusalError`.
        retry_after_s: seconds, at least 1.
    """
    error = "busy" if status == HTTPStatus.TOO_MANY_REQUESTS else "too_slow"
    do = f"try again in {retry_after_s} s"
    return RefusalError(status, error, expected, got, do, {"Retry-After": str(retry_after_s)})


def shutting_down() -> RefusalError:
    """The service has been told to stop and cannot finish this request."""
    expected, got = "a running service", "one that is shutting down"
    do = "send the request again in some seconds"
    return RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "shutting_down", expected, got, do, {"Retry-After": "5"})
