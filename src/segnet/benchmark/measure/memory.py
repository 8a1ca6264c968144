"""Peak memory of a forward or backward pass, counted by tensor: independent of device and allocator.

Every storage that an operator returns counts from its creation until it is freed. Workspaces that a kernel allocates
and frees inside one operator are not seen; weights count only if the pass creates them.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Context manager that tracks all storages that operators return.

    Attributes:
        now: bytes alive now.
        peak: most bytes alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in before and storage._cdata not in self._known:
                    self._created(storage)
        self.peak = max(self.peak, self.now)
        return result

    def _created(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        weakref.finalize(storage, self._freed, key, size).atexit = False

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peak_live_bytes(action: Callable[[], object]) -> int:
    """Returns the most bytes of tensors alive at once while `action` runs, counting those it creates."""
    live = LiveBytes()
    with live:
        action()
    return live.peak
