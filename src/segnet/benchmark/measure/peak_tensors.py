"""Which tensors are alive when a forward pass holds the most memory: maps, pooling indices, copies of weights.

A peak alone does not say why one model needs more than another. Here each storage keeps what made it (operator and
module), and the list is copied whenever a new peak is reached.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from segnet.benchmark.measure.memory import LiveBytes

Kind = Literal["maps", "indices", "weight copies"]
KINDS: tuple[Kind, ...] = ("maps", "indices", "weight copies")


@dataclass(frozen=True)
class LiveTensor:
    """One storage that is alive at the peak.

    Attributes:
        num_bytes: of the storage.
        shape: of the first tensor on it.
        dtype: such as `float32`.
        operator: that created it, such as `aten.conv2d`.
        module: qualified name of the innermost module that was running; empty outside all modules.
        kind: weight copies are what an operator made from a parameter alone, such as autocast's cast; indices are
            integer tensors; the rest are maps.
    """

    num_bytes: int
    shape: tuple[int, ...]
    dtype: str
    operator: str
    module: str
    kind: Kind

    def __str__(self) -> str:
        where = f" in {self.module}" if self.module else ""
        return f"{self.num_bytes / 1e6:.1f} MB {self.dtype} {'x'.join(map(str, self.shape))}{where} ({self.operator})"


class PeakTensors(LiveBytes):
    """`LiveBytes` that also keeps the tensors of its peak.

    Args:
        model: whose parameters and buffers are the weights, and whose modules are named.

    Attributes:
        at_peak: the tensors alive when `peak` was reached, largest first once the context is left.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.at_peak: list[LiveTensor] = []
        self._live: dict[int, LiveTensor] = {}
        self._names = {module: name for name, module in model.named_modules()}
        self._weights = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
        self._running: list[str] = []

    @contextmanager
    def named_modules(self) -> Iterator[None]:
        """While it is open, storages are recorded with the module that made them."""
        handles = []
        for module, name in self._names.items():

            def enter(_module: nn.Module, _args: Any, name: str = name) -> None:
                self._running.append(name)

            def leave(_module: nn.Module, _args: Any, _result: Any) -> None:
                self._running.pop()

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        peak_before, known_before = self.peak, set(self._known)
        result = super().__torch_dispatch__(func, types, args, kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                key = leaf.untyped_storage()._cdata
                if key in self._known and (key not in known_before or key not in self._live):
                    self._live[key] = self._describe(leaf, str(func), inputs)
        if self.peak > peak_before:
            self.at_peak = sorted(self._live.values(), key=lambda tensor: -tensor.num_bytes)
        return result

    def _describe(self, tensor: Tensor, operator: str, inputs: list[Tensor]) -> LiveTensor:
        storages = [leaf.untyped_storage()._cdata for leaf in inputs]
        from_weights = bool(storages) and all(key in self._weights for key in storages)
        kind: Kind = "weight copies" if from_weights else "indices" if not tensor.is_floating_point() else "maps"
        return LiveTensor(
            tensor.untyped_storage().nbytes(),
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            operator.rsplit(".", 1)[0],
            self._running[-1] if self._running else "",
            kind,
        )

    def _freed(self, key: int, size: int) -> None:
        self._live.pop(key, None)
        super()._freed(key, size)


def tensors_at_peak(model: nn.Module, action: Callable[[], object]) -> list[LiveTensor]:
    """The tensors that are alive when `action` holds the most bytes, largest first; their bytes add up to the peak.

    Args:
        model: that `action` runs: its weights are known and not counted, unless an operator copies them.
        action: what is measured; run it once before, so that caches filled by the first call are not counted.
    """
    live = PeakTensors(model)
    with live.named_modules(), live:
        action()
    return live.at_peak


def bytes_by_kind(tensors: list[LiveTensor]) -> dict[Kind, int]:
    """Sums for `maps`, `indices` and `weight copies`."""
    return {kind: sum(t.num_bytes for t in tensors if t.kind == kind) for kind in KINDS}


def weight_bytes(model: nn.Module) -> int:
    """Bytes of parameters and buffers as they are stored."""
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    return sum(t.numel() * t.element_size() for t in {t.untyped_storage()._cdata: t for t in tensors}.values())
