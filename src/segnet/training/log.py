"""The log of a run: one JSON object per line, so a curve can be drawn during the run."""

import json
import os
from pathlib import Path
from typing import Any, Self

from segnet.errors import DataError
from segnet.io.files import whole_file

Record = dict[str, Any]

LOG_EVERY = 10  # steps, between records of the loss


class RunLog:
    """Appends records to `path`, inside a `with`; each has been handed to the system when `write` returns.

    Args:
        path: of the log; its folder is made. None writes nothing.
        first_step: records after this step are dropped from an existing log, since a resumed run writes them again;
            0 starts a new log.
    """

    def __init__(self, path: Path | None, first_step: int = 0) -> None:
        self._path = path or Path(os.devnull)
        if path is None:
            self._file = self._path.open("ab", buffering=0)
            return
        kept = [r for r in read_log(path) if r["step"] <= first_step] if path.exists() else []
        with whole_file(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self._file = path.open("ab", buffering=0)  # no buffer: a killed process loses no record

    def write(self, record: Record) -> None:
        """Appends one record, which must have a `step`.

        Raises:
            DataError: the disk is full.
        """
        try:
            left = memoryview(f"{json.dumps(record)}\n".encode())
            while left:  # the system may take a part only, and without a buffer nobody writes the rest
                left = left[self._file.write(left) or 0 :]
        except OSError as cause:
            raise DataError(f"{self._path} cannot be written: {cause.strerror}; free some space and resume") from cause

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_log(path: Path) -> list[Record]:
    """All whole records of a log; what comes after a damaged line, such as a last one that was cut off, is left out."""
    records: list[Record] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
