import io
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from sysconfig import get_path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from segnet import pooling
from segnet.errors import ShapeError
from segnet.pooling import PoolingIndices, max_pool, max_unpool


@pytest.fixture(params=["native", "plain"])
def formulation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test once with PyTorch's CPU kernels and once with the operations that other devices use."""
    if request.param == "plain":
        monkeypatch.setattr(pooling, "_native", lambda tensor: False)
    return str(request.param)


class PoolAndUnpool(nn.Module):
    """An encoder and a decoder of one stage, as a model uses the pair."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 6, 3, padding=1)
        self.decoder = nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        pooled, indices = max_pool(self.encoder(image))
        logits: Tensor = self.decoder(max_unpool(pooled, indices))
        return logits


class TorchPoolAndUnpool(PoolAndUnpool):
    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(image)
        pooled, flat = nn.functional.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
        unpooled = nn.functional.max_unpool2d(pooled, flat, 2, 2, output_size=features.shape[2:])
        logits: Tensor = self.decoder(unpooled)
        return logits


# ------------------------------------------------------------------------------------------------ the idea


def test_one_window_per_position(formulation: str) -> None:
    image = torch.tensor([[9.0, 1, 1, 9, 1, 1, 1, 1], [1, 1, 1, 1, 9, 1, 1, 9]])[None, None]
    pooled, indices = max_pool(image)
    assert pooled.tolist() == [[[[9, 9, 9, 9]]]]
    assert indices.positions().tolist() == [[[[0, 1, 2, 3]]]]
    assert max_unpool(pooled, indices).tolist() == [[[[9, 0, 0, 9, 0, 0, 0, 0], [0, 0, 0, 0, 9, 0, 0, 9]]]]


def test_four_channels_share_a_byte() -> None:
    positions = torch.tensor([1, 2, 3, 0], dtype=torch.uint8).view(1, 4, 1, 1)
    indices = PoolingIndices.from_positions(positions, (2, 2))
    assert indices.packed.flatten().tolist() == [1 | 2 << 2 | 3 << 4 | 0 << 6]
    assert indices.num_bytes == 1


@pytest.mark.parametrize("channels", range(1, 10))
def test_packing_keeps_every_position_for_any_number_of_channels(channels: int) -> None:
    positions = torch.randint(0, 4, (2, channels, 3, 5), dtype=torch.uint8)
    indices = PoolingIndices.from_positions(positions, (6, 9))
    assert torch.equal(indices.positions(), positions)
    assert indices.packed.shape == (2, -(-channels // 4), 3, 5)


def test_a_channels_last_map_stays_channels_last(formulation: str) -> None:
    image = torch.randn(2, 8, 7, 10).contiguous(memory_format=torch.channels_last).requires_grad_()
    pooled, indices = max_pool(image)
    restored = max_unpool(pooled, indices)
    (gradient,) = torch.autograd.grad(restored.square().sum(), image)
    for tensor in (pooled, indices.packed, restored, gradient):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_works_where_torch_demands_determinism(formulation: str) -> None:
    image = torch.randn(1, 3, 5, 6)
    pooled, indices = max_pool(image)
    expected = max_unpool(pooled, indices)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(max_unpool(*max_pool(image)), expected)
    finally:
        torch.use_deterministic_algorithms(False)


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2), (2, 3)])
def test_first_and_second_derivatives_are_exact(formulation: str, size: tuple[int, int]) -> None:
    # distinct values at least 0.1 apart: gradcheck's steps of 1e-6 then never change a maximum
    values = torch.randperm(2 * 3 * size[0] * size[1], dtype=torch.float64) * 0.1
    image = values.view(2, 3, *size).requires_grad_()
    _, indices = max_pool(image.detach())
    pooled = torch.randn(2, 3, *indices.packed.shape[2:], dtype=torch.float64, requires_grad=True)

    def pool(image: Tensor) -> Tensor:
        return max_pool(image)[0]

    def square_of_unpooled(pooled: Tensor) -> Tensor:
        return max_unpool(pooled, indices).square()

    def both(image: Tensor) -> Tensor:
        return max_unpool(*max_pool(image)).pow(3)

    for function, tensor in ((pool, image), (square_of_unpooled, pooled), (both, image)):
        assert torch.autograd.gradcheck(function, (tensor,))
        assert torch.autograd.gradgradcheck(function, (tensor,))


def test_each_of_tied_positions_gets_what_torch_gives_it(formulation: str) -> None:
    image = torch.zeros(1, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(max_pool(image)[0].sum(), image)
    assert gradient.nonzero()[:, 2:].tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


# ------------------------------------------------------------------------------------------------ memory


def saved_for_backward(function: Callable[[Tensor], object], image: Tensor) -> list[Tensor]:
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        function(image)
    return saved


def test_nothing_of_64_bits_is_saved_for_backward(formulation: str) -> None:
    image = torch.randn(1, 3, 18, 22)
    types = [tensor.dtype for tensor in saved_for_backward(PoolAndUnpool(), image)]
    assert torch.int64 not in types
    assert types.count(torch.uint8) == 2  # the packed indices, once for each of the pair


def test_torchs_own_pair_does_save_64_bits() -> None:
    image = torch.randn(1, 3, 18, 22)
    assert torch.int64 in [tensor.dtype for tensor in saved_for_backward(TorchPoolAndUnpool(), image)]


def test_indices_hold_a_thirtieth_of_flat_ones_at_most(formulation: str) -> None:
    image = torch.randn(2, 64, 45, 60, requires_grad=True)
    kept: list[PoolingIndices] = []

    def pool_and_unpool(image: Tensor) -> Tensor:
        pooled, indices = max_pool(image)
        kept.append(indices)
        return max_unpool(pooled, indices)

    saved = [*saved_for_backward(pool_and_unpool, image), kept[0].packed]
    _, flat = nn.functional.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    flat_bytes = flat.numel() * flat.element_size()
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in saved}
    assert sum(storages.values()) * 30 <= flat_bytes
    assert kept[0].num_bytes * 32 == flat_bytes


# ------------------------------------------------------------------------------------------------ where it must run


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast(formulation: str, dtype: torch.dtype) -> None:
    model, image = PoolAndUnpool(), torch.randn(1, 3, 9, 11)
    other = TorchPoolAndUnpool()
    other.load_state_dict(model.state_dict())
    with torch.autocast("cpu", dtype=dtype):
        logits, expected = model(image), other(image)
    assert logits.dtype == dtype
    assert torch.equal(logits, expected)
    logits.float().sum().backward()
    expected.float().sum().backward()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)


def test_under_a_default_device_and_type(formulation: str) -> None:
    image = torch.randn(2, 5, 9, 11)

    def run() -> list[Tensor]:
        image.requires_grad_()
        pooled, indices = max_pool(image)
        unpooled = max_unpool(pooled, indices)
        flat = indices.to_flat()
        (gradient,) = torch.autograd.grad(unpooled.square().sum(), image)
        image.requires_grad_(False)
        again = PoolingIndices.from_flat(flat, indices.size)
        return [pooled, unpooled, gradient, flat, indices.positions(), again.positions()]

    expected = run()
    with torch.device("meta"):
        on_meta = run()
    torch.set_default_dtype(torch.float64)
    try:
        in_double = run()
    finally:
        torch.set_default_dtype(torch.float32)
    for ours in (on_meta, in_double):
        torch.testing.assert_close(ours, expected, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own, inside export
def test_exported_program_gives_the_same(tmp_path: Path) -> None:
    model, image = PoolAndUnpool().eval(), torch.randn(1, 3, 9, 11)
    program = torch.export.export(model, (image,))
    operators = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    # no packing of bits, no 64-bit indices, no scatter: runtimes rarely have them
    assert not [name for name in operators if any(word in name for word in ("indices", "unpool", "shift", "scatter"))]
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    loaded = torch.export.load(buffer).module()
    # two ways through the same convolutions in float32: equal up to the order of a 54-term sum
    torch.testing.assert_close(loaded(image), model(image), rtol=1e-5, atol=1e-6)


def has_compiler() -> bool:
    headers = Path(get_path("include")) / "Python.h"
    return headers.is_file() and any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def compiled_and_eager(backend: str) -> list[tuple[Tensor, ...]]:
    """The logits and all gradients of a small model, compiled and not."""
    model, image = PoolAndUnpool(), torch.randn(2, 3, 9, 11)
    results = []
    for run in (torch.compile(model, backend=backend, fullgraph=True), model):
        logits = run(image)
        results.append((logits.detach(), *torch.autograd.grad(logits.square().sum(), list(model.parameters()))))
    return results


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("aot_eager", marks=pytest.mark.slow),
        pytest.param(
            "inductor",
            marks=[pytest.mark.slow, pytest.mark.skipif(not has_compiler(), reason="no C++ compiler with Python.h")],
        ),
    ],
)
def test_compiled_model_gives_the_same_values_and_gradients(backend: str) -> None:
    # in a process of its own: after hundreds of tests in one, the compiler has ended in a segmentation fault
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        compiled, eager = process.submit(compiled_and_eager, backend).result()
    # float32 sums over at most 2 x 9 x 11 pixels and 54 products, added in another order
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------------------ flat indices


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 1), (5, 6), (6, 5), (360, 480)])
def test_flat_round_trip(size: tuple[int, int]) -> None:
    image = torch.randn(1, 5, *size)
    _, flat = nn.functional.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    indices = PoolingIndices.from_flat(flat, size)
    assert torch.equal(indices.to_flat(), flat)
    assert torch.equal(indices.packed, max_pool(image)[1].packed)


def test_flat_indices_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2\) do not belong to a map of \(5, 4\): expected \(3, 2\)"):
        PoolingIndices.from_flat(torch.zeros(1, 1, 2, 2, dtype=torch.int64), (5, 4))


@pytest.mark.parametrize("wrong", [-1, 2, 8, 10**6])
def test_flat_indices_outside_their_window_are_refused(wrong: int) -> None:
    flat = torch.tensor([[0, 2], [8, 10]])[None, None]  # of a 4x4 map
    assert PoolingIndices.from_flat(flat, (4, 4)).positions().sum() == 0
    flat[0, 0, 0, 0] = wrong
    with pytest.raises(ShapeError, match="1 flat indices lie outside their 2x2 window"):
        PoolingIndices.from_flat(flat, (4, 4))


@pytest.mark.parametrize(("size", "wrong"), [((3, 2), 6), ((3, 2), 7), ((1, 4), 4), ((5, 5), 25)])
def test_flat_indices_below_an_odd_map_are_refused(size: tuple[int, int], wrong: int) -> None:
    flat = max_pool(torch.zeros(1, 1, *size))[1].to_flat()
    flat[0, 0, -1, wrong % size[1] // 2] = wrong
    with pytest.raises(ShapeError, match="1 flat indices lie outside their 2x2 window"):
        PoolingIndices.from_flat(flat, size)


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 0, 4, 4), (1, 3, 0, 4), (1, 3, 4, 0)])
def test_max_pool_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"max_pool expects a non-empty \(N, C, H, W\)"):
        max_pool(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (2, 3, 2, 2), (1, 3, 2, 3), (3, 2, 2)])
def test_max_unpool_refuses_indices_of_another_map(shape: tuple[int, ...]) -> None:
    _, indices = max_pool(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError, match="unpool with the indices of the pooling at the same level"):
        max_unpool(torch.zeros(shape), indices)
