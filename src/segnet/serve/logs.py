"""Log lines that strangers cannot multiply: one a second of each kind at most."""

import logging
from time import monotonic

_LOGGERS = ("uvicorn.error", "asyncio")
_EVERY_S = 1.0
_MOST_KINDS = 200


class RateLimit(logging.Filter):
    """Lets one record of each kind through per interval; the next one says how many were left out.

    Args:
        every_s: seconds of the interval.
    """

    def __init__(self, every_s: float = _EVERY_S) -> None:
        super().__init__()
        self._every_s = every_s
        self._last: dict[tuple[str, int, str], tuple[float, int]] = {}  # time of the last line, and lines since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        kind = (record.name, record.levelno, str(record.msg)[:200])
        last, left_out = self._last.get(kind, (float("-inf"), 0))
        now = monotonic()
        if now - last < self._every_s:
            self._last[kind] = (last, left_out + 1)
            return False
        if len(self._last) > _MOST_KINDS:
            self._last.clear()
        self._last[kind] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} ({left_out} more of these)"
        return True


def limit_log_lines() -> RateLimit:
    """Limits what the server library and asyncio write; returns the filter, for `unlimit_log_lines`."""
    limit = RateLimit()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(limit)
    return limit


def unlimit_log_lines(limit: RateLimit) -> None:
    """Takes the filter away again."""
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(limit)
