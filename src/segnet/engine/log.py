"""The log of a run: one JSON object per line, so a curve can be drawn while the run goes on."""

import json
from pathlib import Path
from typing import Any, Self

from segnet.files import whole_file

Record = dict[str, Any]


class RunLog:
    """Appends records to `path`, inside a `with`; each has been handed to the system when `write` returns.

    Args:
        path: of the log; its folder is made.
        first_step: records after this step are dropped from an existing log, since a resumed run writes them again;
            0 starts anew.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        kept = [r for r in read_log(path) if r["step"] <= first_step] if path.exists() else []
        with whole_file(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self._file = path.open("a")  # closed by __exit__

    def write(self, record: Record) -> None:
        """Appends one record, which must have a `step`."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_log(path: Path) -> list[Record]:
    """All whole records of a log; a last line that was cut off is left out."""
    records: list[Record] = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
