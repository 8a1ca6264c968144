"""What a long prediction has done, one JSON object a line, so that a second run goes on where the first stopped.

{"settings": {"weights": "0b1c...", "opacity": 0.5, ...}}
{"image": "/photos/a.jpg", "stem": "a", "version": "48211-1764...", "pixels": {"road": 9120, ...}}
{"image": "/photos/b.jpg", "stem": "b", "version": "17-1764...", "failed": "b.jpg is not an image; ..."}
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from segnet.errors import DataError
from segnet.inference.item import Item
from segnet.io.files import cannot_be_written

JOURNAL_FILE = "predictions.jsonl"


class Journal:
    """The journal in a folder of results; a context manager that closes it.

    An image counts as done while it and the settings are the same; what failed is tried again. A line that a crash cut
    off is ignored.

    Args:
        folder: of the results, made where it is missing.
        settings: everything that results depend on, JSON; a journal of other settings is emptied.

    Raises:
        DataError: the file cannot be written, or another run has it.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.path = folder / JOURNAL_FILE
        written = json.loads(json.dumps(settings))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+", encoding="utf-8", errors="replace")
        except OSError as cause:
            raise cannot_be_written(self.path, cause) from cause
        try:
            _lock(self._file, self.path)
            self._file.seek(0)
            known, self._done, is_whole = _read(self._file)
            before = known or {}
            self.is_new = known is None
            self.changed = sorted(k for k in before.keys() | written.keys() if before.get(k) != written.get(k))
            """Names of the settings that differ from those of the last run; all where there was none."""
            if self.changed or self.is_new:
                self._done = {}
                self._file.truncate(0)
                self._write({"settings": written})
            elif not is_whole:
                self._file.write("\n")
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError) and not isinstance(error, DataError):
                raise cannot_be_written(self.path, error) from error
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def is_done(self, item: Item) -> bool:
        """Whether the same image was predicted with these settings; its files may have been removed since."""
        return self._done.get(item.address) == (item.stem, item.version)

    def add(self, item: Item, *, pixels: Mapping[str, int] | None = None, failed: str = "") -> None:
        """Adds an image.

        Args:
            item: the image.
            pixels: of each class, where it was predicted.
            failed: why it was not.

        Raises:
            DataError: the line cannot be written.
        """
        record: dict[str, Any] = {"image": item.address, "stem": item.stem, "version": item.version}
        try:
            self._write(record | ({"failed": failed} if failed else {"pixels": dict(pixels or {})}))
        except OSError as cause:
            raise cannot_be_written(self.path, cause) from cause

    def _write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()


def _read(lines: Iterable[str]) -> tuple[dict[str, Any] | None, dict[str, tuple[str, str]], bool]:
    """Settings, if there are any; (stem, version) of what is done, by address; and whether the last line is whole."""
    settings: dict[str, Any] | None = None
    done: dict[str, tuple[str, str]] = {}
    line = "\n"
    for line in lines:
        try:
            record = json.loads(line)
            if "settings" in record:
                if settings != record["settings"]:
                    done = {}
                settings = dict(record["settings"])
            elif "pixels" in record:
                done[record["image"]] = (record["stem"], record["version"])
            else:
                done.pop(record["image"], None)
        except (ValueError, TypeError, KeyError):
            continue
    return settings, done, line.endswith("\n")


def _lock(file: TextIO, path: Path) -> None:
    """Until the file is closed, also by the death of this process.

    Raises:
        DataError: another process has it.
    """
    try:
        import fcntl  # noqa: PLC0415 # Windows has none
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(
            f"{path.parent} gets the results of another run just now; wait for it, or give another --out"
        ) from None
