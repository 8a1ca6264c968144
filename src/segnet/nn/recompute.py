"""Training that stores one map per convolution and recomputes cheap maps in the backward pass.

A convolution with batch normalisation and ReLU keeps two maps for the backward pass: the output of the convolution,
which BN needs, and the output of ReLU, which ReLU and the next convolution need. The second follows from the first by
a scale and a shift per channel; a pooled or unpooled map follows from the map before it and 2 bits per window; the
first convolution's output from the image; a filter in another precision from the filter. Inside `recomputing()`
autograd keeps none of these maps, only a function that rebuilds each of them:

    with recomputing():
        logits = model(image)
    cross_entropy(logits, target).backward()

Layers register these functions by `remember`. Gradients equal those without recomputing, up to rounding.

Source:
    Rota Bulo, Porzi, Kontschieder: In-place activated BatchNorm, CVPR 2018, for the idea of one map per layer; theirs
    stores the output and inverts the activation, which is impossible for ReLU.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.weak import WeakTensorKeyDictionary

Rebuild = Callable[[slice], Tensor]
"""Rebuilds a map (N, C, H, W), or the images of it that a slice of N selects."""

ALL = slice(None)
_recipes: ContextVar[WeakTensorKeyDictionary | None] = ContextVar("recipes", default=None)


@contextmanager
def recomputing(on: bool = True) -> Iterator[None]:
    """A context in which autograd graphs keep fewer maps. They have no second derivatives.

    Args:
        on: False has no effect.
    """
    if not on:
        yield
        return
    recipes = WeakTensorKeyDictionary()

    def pack(kept: Tensor) -> Tensor | Callable[[], Tensor]:
        if kept in recipes:
            return partial(recipes[kept], ALL)
        filters = _uncast(kept)
        return kept if filters is None else partial(_cast, filters.detach(), kept.dtype)

    def unpack(packed: Tensor | Callable[[], Tensor]) -> Tensor:
        with torch.no_grad():
            return packed if isinstance(packed, Tensor) else packed()

    token, cached = _recipes.set(recipes), torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)  # it would hold the copies of all filters to the end of the forward pass
    try:
        with saved_tensors_hooks(pack, unpack):
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)
        _recipes.reset(token)


def is_recomputing() -> bool:
    """Whether the caller is inside `recomputing()` and autograd records a graph."""
    return not torch.compiler.is_compiling() and _recipes.get() is not None and torch.is_grad_enabled()


def remember(made: Tensor, rebuild: Rebuild) -> Tensor:
    """Registers how to rebuild a map, and returns that map. Has no effect outside `recomputing()`.

    Args:
        made: (N, C, H, W).
        rebuild: called without gradients; should reference only the tensors that it needs.
    """
    recipes = _recipes.get()
    if recipes is not None:
        recipes[made] = rebuild
    return made


def again(made: Tensor) -> Rebuild:
    """How the backward pass gets a map (N, C, H, W): rebuilt by the registered function, or kept if there is none."""
    recipes = _recipes.get()
    if recipes is not None and made in recipes:
        return recipes[made]  # type: ignore[no-any-return]
    return made.detach().__getitem__


def normalise(features: Tensor, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    """Batch normalisation with batch statistics, and ReLU; both outputs are rebuilt from their inputs.

    Args:
        features: (N, C, H, W).
        norm: its running statistics are updated once.
        relu: whether a ReLU follows.

    Returns:
        (N, C, H, W).
    """
    of_batch = norm.normalise_batch if isinstance(norm, TellsStatistics) else partial(_normalise_batch, norm)
    normal, mean, variance = of_batch(features)
    affine = _Affine(mean, variance, norm.weight.detach(), norm.bias.detach(), norm.eps)
    source = again(features)
    if not relu:
        return remember(normal, lambda images: affine(source(images)))
    rectified: Tensor = _ReLU.apply(normal, features, affine)  # type: ignore[no-untyped-call]
    return remember(rectified, lambda images: affine(source(images)).relu_())


@runtime_checkable
class TellsStatistics(Protocol):
    """A batch normalisation of its own, such as one over several processes."""

    def normalise_batch(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> the same, normalised, which the backward pass does not need; mean and variance, (C,)."""


def _normalise_batch(norm: nn.BatchNorm2d, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    momentum = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
    normal, mean, inverse_deviation = torch.native_batch_norm(
        features, norm.weight, norm.bias, norm.running_mean, norm.running_var, True, momentum, norm.eps
    )
    return normal, mean, inverse_deviation**-2 - norm.eps


def convolution_again(features: Tensor, convolution: nn.Conv2d, made: Tensor) -> Rebuild:
    """A function that rebuilds the output of a convolution without bias by repeating it.

    Args:
        features: (N, C, H, W), its input.
        convolution: any.
        made: (N, C', H', W'), its output, whose dtype is the precision to repeat it in.
    """
    source = again(features)

    def rebuild(images: slice) -> Tensor:
        filters = convolution.weight.detach().to(made_in)
        c = convolution
        return F.conv2d(source(images).to(made_in), filters, None, c.stride, c.padding, c.dilation, c.groups)

    made_in = made.dtype
    return rebuild


class _Affine(NamedTuple):
    """Batch normalisation with given statistics, (C,) each."""

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, features: Tensor) -> Tensor:
        return torch.native_batch_norm(
            features, self.weight, self.bias, self.mean, self.variance, False, 0.0, self.eps
        )[0]


class _ReLU(torch.autograd.Function):
    """In-place ReLU of a normalised map; its backward pass rebuilds that map image by image."""

    @staticmethod
    def forward(context: Any, normal: Tensor, features: Tensor, affine: _Affine) -> Tensor:
        context.save_for_backward(features)
        context.affine = affine
        context.mark_dirty(normal)
        return normal.relu_()

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (features,) = context.saved_tensors
        result = torch.empty_like(gradient)
        for of_output, of_input, image in zip(gradient.split(1), result.split(1), features.split(1), strict=True):
            torch.ops.aten.threshold_backward.grad_input(of_output, context.affine(image), 0, grad_input=of_input)
        return result, None, None


def _uncast(kept: Tensor) -> Tensor | None:
    """The parameter that autocast cast to this tensor; None for any other tensor."""
    node = kept.grad_fn
    if node is None or node.name() != "ToCopyBackward0":
        return None
    source = node.next_functions[0][0]
    return getattr(source, "variable", None)


def _cast(filters: Tensor, dtype: torch.dtype) -> Tensor:
    return filters.to(dtype)
