"""The model as several processes train it: PyTorch's `DistributedDataParallel`, with sums in place of averages."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segnet.errors import ConfigError
from segnet.nn.logits import logits_of
from segnet.training.distributed import Processes


class ParallelModel:
    """A model whose gradients, after the last backward pass of a step, are sums over all processes.

    Each bucket of gradients is sent while the backward pass computes the next. Alone, it is the model itself.

    Args:
        model: trained in place. All processes then begin with the weights and statistics of the first.
        processes: that train together.

    Raises:
        ConfigError: the model is not the same one in every process.
    """

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        self._model = model
        self._parallel: DistributedDataParallel | None = None
        if processes.count == 1:
            return
        try:
            with processes.transferring():
                self._parallel = DistributedDataParallel(
                    _Logits(model),
                    forward_sync_buffers=False,  # BN statistics are the same in every process: `sync_batch_norm.py`
                    gradient_as_bucket_view=True,  # else each gradient is in memory twice
                    # For two reasons. Anybody's model may have parameters that it does not use, or not in every
                    # step. And without it PyTorch orders the buckets again after the first step: sums of more than two
                    # processes would round otherwise, and a resumed run would differ from an unbroken one.
                    find_unused_parameters=True,
                )
        except RuntimeError as cause:
            if "param" not in str(cause):
                raise
            raise ConfigError(
                f"the {type(model).__name__} of process {processes.rank} differs from that of process 0; "
                "build the same model in every process"
            ) from cause
        self._parallel.register_comm_hook(None, _sum)

    def logits(self, image: Tensor, num_classes: int) -> Tensor:
        """Logits of the training step, (N, C, H, W) -> (N, K, H, W); errors as in `logits_of`."""
        if self._parallel is None:
            return logits_of(self._model, image, num_classes)
        return self._parallel(image, num_classes)  # type: ignore[no-any-return]

    @contextmanager
    def accumulating(self, on: bool) -> Iterator[None]:
        """A context in which a backward pass adds to this process's own gradients; nothing is sent yet.

        Args:
            on: False has no effect: the backward pass sends what has accumulated.
        """
        if self._parallel is None or not on:
            yield
            return
        with self._parallel.no_sync():
            yield


def _sum(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    """The sum of a bucket over all processes.

    `DistributedDataParallel` averages. Here each process's loss is its share of the whole already (`objective.py`), so
    that its gradients add up; scaling the loss by the number of processes would give the same, but make float16
    overflow earlier.
    """
    sent = dist.all_reduce(bucket.buffer(), async_op=True)
    assert sent is not None
    return sent.get_future().then(lambda done: done.value()[0])  # type: ignore[no-any-return]


class _Logits(nn.Module):
    """A model with its result checked, as the module that `DistributedDataParallel` wraps."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        first = next(model.parameters())
        # PyTorch warns in each process where it looks for unused parameters and finds none; this is one
        self.unused = nn.Parameter(torch.zeros((), device=first.device))

    def forward(self, image: Tensor, num_classes: int) -> Tensor:
        return logits_of(self.model, image, num_classes)
