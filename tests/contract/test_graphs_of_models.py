"""Every model through PyTorch's own tracers, exporters and transforms, as users call them, against its eager logits."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.func import functional_call, grad, jvp, vmap

from segnet.models import MODELS

NUM_CLASSES = 3
TRACED_PX = (37, 45)
OTHER_SIZES_PX = [(48, 64), (50, 41)]  # other parities than the traced size at every level
DYNAMIC = ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
NARROW = {key: {"fc_channels": 32} for key in ("fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet")}

Run = Callable[[Tensor], Tensor]

# PyTorch's exporters warn about their own code
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = MODELS[request.param](NUM_CLASSES, **NARROW.get(request.param, {}))
    return made.eval()


def images(size_px: tuple[int, int], batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, *size_px, generator=torch.Generator().manual_seed(1))


def require_equal(run: Run, model: nn.Module, size_px: tuple[int, int]) -> None:
    """The logits of a graph are those of eager PyTorch up to the order of float32 sums."""
    image = images(size_px)
    with torch.no_grad():
        expected, got = model(image), run(image)
    assert got.shape == (1, NUM_CLASSES, *size_px)
    largest = float(expected.abs().max())
    assert float((got - expected).abs().max()) <= 1e-4 * max(largest, 1.0)


def onnx_session(model: nn.Module, **options: Any) -> Run:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    made = torch.onnx.export(model, (images(TRACED_PX),), dynamo=True, verbose=False, **options)
    assert made is not None
    session = runtime.InferenceSession(made.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: torch.from_numpy(np.asarray(session.run(None, {name: image.numpy()})[0]))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_holds_for_all_sizes(model: nn.Module) -> None:
    buffer = io.BytesIO()
    traced = torch.jit.trace(model, images(TRACED_PX), check_trace=False)
    torch.jit.save(traced, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    for size_px in (TRACED_PX, *OTHER_SIZES_PX):
        require_equal(loaded, model, size_px)


def test_an_export_of_one_size(model: nn.Module) -> None:
    require_equal(torch.export.export(model, (images(TRACED_PX),)).module(), model, TRACED_PX)


@pytest.mark.slow
def test_a_dynamic_export_holds_for_all_sizes(model: nn.Module) -> None:
    program = torch.export.export(model, (images(TRACED_PX),), dynamic_shapes=DYNAMIC).module()
    for size_px in (TRACED_PX, *OTHER_SIZES_PX):
        require_equal(program, model, size_px)


@pytest.mark.slow
def test_onnx_of_one_size(model: nn.Module) -> None:
    require_equal(onnx_session(model), model, TRACED_PX)


@pytest.mark.slow
def test_dynamic_onnx_holds_for_all_sizes(model: nn.Module) -> None:
    run = onnx_session(model, dynamic_shapes=DYNAMIC)
    for size_px in (TRACED_PX, *OTHER_SIZES_PX):
        require_equal(run, model, size_px)


@pytest.mark.slow
def test_compiled_without_a_graph_break(model: nn.Module) -> None:
    torch.compiler.reset()
    require_equal(torch.compile(model, backend="aot_eager", fullgraph=True), model, TRACED_PX)


def test_functional_call_and_vmap(model: nn.Module) -> None:
    batch = images((13, 18), batch=3)
    parameters = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        expected = model(batch)
        together = functional_call(model, parameters, (batch,))
        one_by_one = vmap(lambda image: functional_call(model, parameters, (image[None],))[0])(batch)
    assert torch.equal(together, expected)
    torch.testing.assert_close(one_by_one, expected, rtol=1e-4, atol=1e-4)  # order of float32 sums


def test_gradients_of_each_image(model: nn.Module) -> None:
    """`vmap(grad(...))` by the first convolution's filters against one backward pass per image, in float64."""
    batch = images((13, 18), batch=2).double()
    named = (*model.named_parameters(), *model.named_buffers())
    fixed = {name: value.detach().double() if value.is_floating_point() else value for name, value in named}
    first = next(name for name, value in model.named_parameters() if value.dim() == 4)

    def loss(filters: Tensor, image: Tensor) -> Tensor:
        logits: Tensor = functional_call(model, fixed | {first: filters}, (image[None],))
        return logits.square().mean()

    got = vmap(grad(loss), (None, 0))(fixed[first], batch)
    filters = fixed[first].clone().requires_grad_()
    expected = torch.stack([torch.autograd.grad(loss(filters, image), filters)[0] for image in batch])
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_forward_mode_agrees_with_backward_mode(model: nn.Module) -> None:
    image, direction = images((13, 18)), images((13, 18)).flip(3)
    slope = jvp(lambda x: model(x).square().mean(), (image,), (direction,))[1]
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(model(image).square().mean(), image)
    expected = float((gradient * direction).sum())
    assert float(slope) == pytest.approx(expected, rel=1e-3, abs=1e-4 * float((gradient * direction).abs().sum()))
