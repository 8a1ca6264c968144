"""Overlapping work with bounded queues: a thread that reads ahead, and a thread that processes results."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1  # time between checks whether the other side has stopped


def ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yields the same items, produced in a background thread, at most `depth` in advance.

    Raises:
        Any error of the iterable, at its position in the sequence.
    """
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> None:
        taken = False
        while not (taken or stopped.is_set()):
            with suppress(queue.Full):
                made.put((item, error), timeout=_POLL_S)
                taken = True

    def make() -> None:
        end: BaseException = StopIteration()
        try:
            for item in items:
                put(item, None)
                if stopped.is_set():
                    return
        except BaseException as error:
            end = error
        put(None, end)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


class Behind(Generic[Item]):
    """Calls a function for each item in a background thread; at most `depth` items wait.

    Args:
        function: called with each item. Its first error stops the work and is raised by the next `put` or at the end.
        depth: length of the queue.

    Example:
        >>> with Behind(print, depth=2) as behind:
        ...     behind.put("one")
    """

    def __init__(self, function: Callable[[Item], object], depth: int) -> None:
        self._function = function
        self._waiting: queue.Queue[tuple[Item] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def put(self, item: Item) -> None:
        """Queues an item; blocks while `depth` items wait."""
        self._put((item,))

    def _put(self, entry: tuple[Item] | None) -> None:
        while self._error is None:
            with suppress(queue.Full):
                self._waiting.put(entry, timeout=_POLL_S)
                return
        raise self._error

    def _work(self) -> None:
        try:
            while (entry := self._waiting.get()) is not None:
                self._function(*entry)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> "Behind[Item]":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until all items are processed, also when the block raised an error, which then propagates."""
        if self._error is None:
            self._put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
