"""Several real processes for one test: forked, so that they import nothing anew, and joined by gloo."""

import multiprocessing
import queue
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from segnet.training.distributed import Processes

AT_MOST_S = 600.0  # of a test that hangs; one that passes needs a second, or more on a busy machine


def in_processes(count: int, function: Callable[[Processes], Any]) -> list[Any]:
    """What a function returns in each of several processes, by rank; an exception is its type and message.

    Args:
        count: of processes.
        function: called with the processes; what it returns is sent by pickle, tensors as arrays.
    """
    import torch._dynamo  # noqa: F401 - once here, not seconds in every process

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        members = [context.Process(target=_member, args=(r, count, store, function, answers)) for r in range(count)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: the members use none of them
            for member in members:
                member.start()
        try:
            found = dict(answers.get(timeout=AT_MOST_S) for _ in members)
        except queue.Empty:
            raise AssertionError("the processes wait for each other") from None
        finally:
            for member in members:
                member.join(5)
                member.kill()
    return [found[rank] for rank in range(count)]


def _member(rank: int, count: int, store: Path, function: Callable[[Processes], Any], answers: Any) -> None:
    torch.set_num_threads(1)  # the pool of threads did not survive the fork
    try:
        dist.init_process_group("gloo", store=dist.FileStore(str(store), count), rank=rank, world_size=count)
        answer = function(Processes(rank, count))
    except Exception as error:
        traceback.print_exc()
        answer = (type(error).__name__, str(error))
    answers.put((rank, answer))
    answers.close()
    answers.join_thread()
