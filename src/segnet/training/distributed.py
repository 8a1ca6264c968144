"""The processes that train one model together: each computes its share of every batch.

    torchrun --nproc-per-node 2 -m segnet train --recipe segnet-camvid --data CAMVID --out runs/segnet

`train.batch_size` is that of all processes together. Equal to one process, up to rounding: the images of each step
and their augmentation, the cross entropy, the gradients (`parallel.py`), the BN statistics (`sync_batch_norm.py`) and
those of the statistics pass. Equal exactly: the scores (`split_evaluation.py`). Different: Dice and Lovasz are averages
over each part's own, and dropout draws other numbers. The first process alone reads checkpoints, writes and shows
progress. A run may be resumed with another number of processes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from segnet.errors import SegNetError

MEETING = timedelta(minutes=5)  # more than that is a fault, such as a start that another start overtook
PATIENCE = timedelta(days=1)  # the others wait while the first plans, reads a checkpoint or writes
_OF_TRANSFERS = ("gloo", "NCCL", "Connection closed", "Connection reset")  # in the messages of PyTorch's errors
T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """All processes of a run, as one of them sees them. Alone, it adds up nothing but its own.

    Attributes:
        rank: of this process, 0 .. count - 1.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reads checkpoints, writes and shows progress."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits in each; `values` stays as it is.

        Raises:
            SegNetError: another process ended.
        """
        total = values.clone(memory_format=torch.contiguous_format)
        if self.count > 1:
            try:
                dist.all_reduce(total)
            except RuntimeError as cause:
                raise self._another_ended() from cause
        return total

    @contextmanager
    def transferring(self) -> Iterator[None]:
        """Around what transfers by itself, such as a backward pass.

        Raises:
            SegNetError: another process ended.
        """
        try:
            yield
        except RuntimeError as cause:
            # PyTorch has no error type of its own for gloo
            lost = isinstance(cause, dist.DistError) or any(word in str(cause) for word in _OF_TRANSFERS)
            if self.count == 1 or not lost:
                raise
            raise self._another_ended() from cause

    def _another_ended(self) -> SegNetError:
        return SegNetError(f"another of the {self.count} processes ended; its own message says why")

    def any(self, value: bool) -> bool:
        """Whether `value` holds in at least one process."""
        return bool(self.sum(torch.tensor(int(value))).item())

    def gather(self, values: Tensor) -> Tensor:
        """`values` of each process by rank, (count, ...)."""
        rows = values.new_zeros(self.count, *values.shape)
        rows[self.rank] = values
        return self.sum(rows)

    def names(self, own: tuple[str, ...]) -> tuple[str, ...]:
        """The names of all processes, by rank."""
        if self.count == 1:
            return own
        return sum(self.each(lambda: own), ())

    def each(self, function: Callable[[], T]) -> list[T]:
        """What a function returns in each process, by rank.

        Raises:
            SegNetError: the function raised it in one process; all raise that of the lowest rank, so that none waits.
        """
        if self.count == 1:
            return [function()]
        outcomes: list[_Outcome | None] = [None] * self.count
        own = _outcome(function)
        with self.transferring():
            dist.all_gather_object(outcomes, own)
        return [cast(T, _taken(outcome)) for outcome in outcomes]

    def from_first(self, function: Callable[[], T]) -> T:
        """What a function returns in the first process, which alone calls it: one decision, files of one machine.

        Raises:
            SegNetError: the function raised it; all processes raise it.
        """
        if self.count == 1:
            return function()
        told = [_outcome(function) if self.is_first else None]
        with self.transferring():
            dist.broadcast_object_list(told)
        return cast(T, _taken(told[0]))


ALONE = Processes()


class _Outcome(NamedTuple):
    """What a function returned, or the error that it raised."""

    value: object = None
    error: SegNetError | None = None


def _outcome(function: Callable[[], object]) -> _Outcome:
    try:
        return _Outcome(function())
    except SegNetError as error:
        return _Outcome(error=error)


def _taken(outcome: _Outcome | None) -> object:
    assert outcome is not None
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Meets the other processes that `torchrun` (or a launcher that sets the same variables) started; else one alone.

    Each process takes the GPU of its own number where there are GPUs.

    Yields:
        The processes, until the block ends.

    Raises:
        SegNetError: the others were not met, or the launcher's variables are not whole.
    """
    if "WORLD_SIZE" not in os.environ:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_node_local_rank())
    try:
        dist.init_process_group(timeout=MEETING)  # gloo for tensors in memory, nccl for those on a GPU
        dist.distributed_c10d._set_pg_timeout(PATIENCE)  # has no public name; `new_group` would be a second group
    except (RuntimeError, ValueError) as cause:
        reason = str(cause).splitlines()[0]
        raise SegNetError(f"the processes did not meet ({reason:.120}); see whether another one ended first") from cause
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
