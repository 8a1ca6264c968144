"""The journal of predictions that are written to a store, where nothing can be appended to a file: in parts.

predictions-20261126T204500123456-9f3a-0000.jsonl     settings, and what was done until it was written
predictions-20261126T204500123456-9f3a-0001.jsonl     what was done in the half minute after
"""

import json
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from segnet.errors import DataError
from segnet.inference.journal import JOURNAL_FILE, Journal
from segnet.io.remote import RemoteFolder

_PART = re.compile(r"predictions-(\w+)-\w+-\d+\.jsonl")
_EVERY_S = 30.0


class PublishedJournal(Journal):
    """As `Journal`; what a crash keeps from being published is predicted again.

    Args:
        folder: of this machine, empty.
        settings: as for `Journal`.
        target: where the parts are.
        names: of the files there.

    Raises:
        DataError: the store cannot be read or written: that is known before any work.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], target: RemoteFolder, names: Collection[str]) -> None:
        self._target, self._folder = target, folder
        self._unpublished: list[str] = []
        parts = sorted(filter(_PART.fullmatch, names))
        self._run = f"{_moment_after(parts)}-{secrets.token_hex(2)}"
        self._number, self._published = 0, monotonic()
        with (folder / JOURNAL_FILE).open("wb") as whole:
            for name in parts:
                target.fetch(name, folder / "part")
                whole.write((folder / "part").read_bytes())
        super().__init__(folder, settings)
        self._unpublished = [_line({"settings": settings})]
        try:
            self.publish()
        except BaseException:
            self._file.close()
            raise

    def publish(self) -> None:
        """Writes what was added since the last time as one more part."""
        part = self._folder / "part"
        part.write_text("".join(self._unpublished), encoding="utf-8")
        self._target.put(part, f"predictions-{self._run}-{self._number:04}.jsonl")
        self._unpublished, self._number, self._published = [], self._number + 1, monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is not None:
            with suppress(DataError):  # perhaps the store is what failed
                self.publish()
        elif self._unpublished:
            self.publish()

    def _write(self, record: Mapping[str, Any]) -> None:
        super()._write(record)
        self._unpublished.append(_line(record))
        if monotonic() - self._published > _EVERY_S:
            self.publish()


def _moment_after(parts: Sequence[str]) -> str:
    """The time now, as text that sorts after that of all parts, also where another machine's clock was ahead."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    latest = max((found[1] for name in parts if (found := _PART.fullmatch(name))), default="")
    return now if now > latest else f"{latest}1"


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
