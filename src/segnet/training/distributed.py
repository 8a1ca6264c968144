"""The processes that train one model together: each computes its share of every batch.

    torchrun --nproc-per-node 2 -m segnet train --recipe segnet-camvid --data CAMVID --out runs/segnet

`train.batch_size` is that of all processes together. Equal to one process, up to rounding: the images of each step
and their augmentation, the cross entropy, the gradients, and the BN statistics (`sync_batch_norm.py`).
Different: Dice and Lovasz are averages over each part's own, and dropout draws other numbers. The first process alone
evaluates, writes and shows progress, while the others wait. A run may be resumed with another number of processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segnet.errors import SegNetError

PATIENCE = timedelta(days=1)  # the others wait while the first evaluates


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
        """Whether this is the process that evaluates, writes and shows progress."""
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
                raise SegNetError(f"another of the {self.count} processes ended; its own message says why") from cause
        return total

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
        parts: list[tuple[str, ...]] = [()] * self.count
        dist.all_gather_object(parts, own)
        return sum(parts, ())

    def sum_gradients(self, model: nn.Module) -> None:
        """Replaces every gradient by its sum over all processes, in one transfer."""
        if self.count == 1:
            return
        # all in one vector: a transfer per parameter would wait for the network each time
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        total = self.sum(torch.cat([g.flatten() for g in gradients]))
        for gradient, part in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))


ALONE = Processes()


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
        dist.init_process_group(timeout=PATIENCE)  # gloo for tensors in memory, nccl for those on a GPU
    except (RuntimeError, ValueError) as cause:
        reason = str(cause).splitlines()[0]
        raise SegNetError(f"the processes did not meet ({reason:.120}); see whether another one ended first") from cause
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
