"""Work shared out to processes of this machine: each item has exactly one result, however often a process dies.

Each process has a pipe of its own: one that is killed in the middle of a message breaks no lock that others wait for.
The parent knows what each process has before it, so what a dead one leaves is given to another.
"""

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Any

from segnet.errors import ConfigError, SegNetError

Work = Callable[[Sequence[Any]], Iterable[Any]]
"""A batch of items -> one result for each, in their order."""

_AHEAD = 2  # batches that a process has before it: it never waits for the parent
_STARTS = 3  # in a row that may fail
_END_S = 10.0
_READY, _RESULT, _RAISED, _BROKEN = "ready", "result", "raised", "broken"


class Lost(str):
    """The result of an item that twice was in the hands of a process that died: why, in words."""

    __slots__ = ()


def run_in_workers(
    items: Sequence[Any],
    num_workers: int,
    open_work: Callable[[], Work],
    *,
    batch_size: int = 1,
    threads: int = 1,
    on_death: Callable[[list[Any]], None] = lambda items: None,
    on_start: Callable[[int], None] = lambda pid: None,
) -> Generator[tuple[Any, Any]]:
    """Works on items in several processes.

    Args:
        items: can be pickled.
        num_workers: processes; no more are started than there are batches.
        open_work: called once in each process; can be pickled.
        batch_size: items that a process gets together.
        threads: of OpenMP in each process.
        on_death: told of the items that a process had begun and not answered when it died, before they are given to
            another.
        on_start: told the id of each process.

    Yields:
        (item, result) for each item once, in the order in which they are done; the result is `Lost` where two
        processes died with the item. After the first death the item goes alone, so that it takes no other with it.

    Raises:
        SegNetError: raised by the work or while it was opened; everything stops.
        ConfigError: processes die before they are ready.
        RuntimeError: another error in a process, with its traceback.
    """
    pool = _Pool(items, num_workers, open_work, batch_size, threads, on_start)
    try:
        while pool.fill():
            for worker in pool.speaking():
                yield from pool.heard(worker, on_death)
    finally:
        pool.close()


class _Process:
    """A process, its pipe, and the batches before it, the first of which it has begun."""

    def __init__(self, context: SpawnContext, open_work: Callable[[], Work]) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, open_work), daemon=True)
        self.process.start()
        theirs.close()  # the pipe ends with the process
        self.is_ready = False
        self.batches: deque[deque[int]] = deque()

    def ending(self) -> str:
        """How it died, in words."""
        self.process.join()
        code = self.process.exitcode or 0
        if code == -getattr(signal, "SIGKILL", 9):
            return "it was killed; perhaps the memory is not enough: use fewer workers"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class _Pool:
    def __init__(
        self,
        items: Sequence[Any],
        num_workers: int,
        open_work: Callable[[], Work],
        batch_size: int,
        threads: int,
        on_start: Callable[[int], None],
    ) -> None:
        self._items, self._open_work, self._threads, self._on_start = items, open_work, threads, on_start
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
        self._fresh = iter(range(0, len(items), batch_size))
        self._batch_size = batch_size
        self._again: deque[deque[int]] = deque()
        self._died_with: set[int] = set()
        self._failed_starts = 0
        self._num_workers = min(num_workers, -(-len(items) // batch_size))
        self._workers: list[_Process] = []

    def fill(self) -> bool:
        """Gives every process enough to do; whether anything is left to wait for."""
        while len(self._workers) < self._num_workers and (batch := self._next_batch()):
            with _threads_of_children(self._threads):
                worker = _Process(self._context, self._open_work)
            self._workers.append(worker)
            self._on_start(worker.process.pid or 0)
            self._give(worker, batch)
        for ahead in range(1, _AHEAD + 1):  # one for each before a second for any
            for worker in self._workers:
                while len(worker.batches) < ahead and (batch := self._next_batch()):
                    self._give(worker, batch)
        return any(worker.batches for worker in self._workers)

    def speaking(self) -> list[_Process]:
        """The processes that have said something, or have died."""
        heard = wait([worker.connection for worker in self._workers])
        return [worker for worker in self._workers if worker.connection in heard]

    def heard(self, worker: _Process, on_death: Callable[[list[Any]], None]) -> Iterator[tuple[Any, Any]]:
        """The results that a process tells, or those of the items that it died with for the second time."""
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._dead(worker, on_death)
            return
        if kind == _READY:
            worker.is_ready, self._failed_starts = True, 0
        elif kind == _RESULT:
            batch = worker.batches[0]
            index = batch.popleft()
            if not batch:
                worker.batches.popleft()
            yield self._items[index], value
        elif kind == _RAISED:
            raise value
        else:
            raise RuntimeError(f"a worker stopped by an error:\n{value}")

    def close(self) -> None:
        """Ends the processes: each after its image, and those that take too long at once."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_END_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def _next_batch(self) -> deque[int] | None:
        if self._again:
            return self._again.popleft()
        start = next(self._fresh, None)
        if start is None:
            return None
        return deque(range(start, min(start + self._batch_size, len(self._items))))

    def _give(self, worker: _Process, batch: deque[int]) -> None:
        worker.batches.append(batch)
        with suppress(OSError):  # of one that has died: `heard` finds that out
            worker.connection.send([self._items[index] for index in batch])

    def _dead(self, worker: _Process, on_death: Callable[[list[Any]], None]) -> Iterator[tuple[Any, Any]]:
        self._workers.remove(worker)
        worker.connection.close()
        ending = worker.ending()
        if not worker.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise ConfigError(f"workers die before they begin: {ending}; use fewer workers")
            self._again.extendleft(reversed(worker.batches))
            return
        begun, *others = worker.batches or [deque()]
        self._again.extendleft(reversed(others))
        on_death([self._items[index] for index in begun])
        for index in begun:
            if index in self._died_with:
                yield self._items[index], Lost(f"two workers died with it: {ending}")
            else:
                self._died_with.add(index)
                self._again.appendleft(deque([index]))


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """OpenMP reads its variable when it is loaded: it must be set before a child begins."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _serve(connection: Connection, open_work: Callable[[], Work]) -> None:
    """What a process does, until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            work = open_work()
            connection.send((_READY, None))
            while True:
                for result in work(connection.recv()):
                    connection.send((_RESULT, result))
        except SegNetError as error:
            connection.send((_RAISED, error))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception:
            connection.send((_BROKEN, traceback.format_exc()))
