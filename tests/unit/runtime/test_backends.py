"""Every backend says what the model itself says."""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from torch import Tensor, nn
from trained_models import random_images, trained

from segnet.errors import ConfigError, ShapeError
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import create_normalisation
from segnet.pooling import max_pool, max_unpool
from segnet.runtime.backend import Backend
from segnet.runtime.compiled import CompiledBackend
from segnet.runtime.create import choose_backend
from segnet.runtime.eager import EagerBackend
from segnet.runtime.fold import folded
from segnet.runtime.onnxruntime import ONNXRuntimeBackend
from segnet.runtime.openvino import OpenVINOBackend

CPU = torch.device("cpu")
SIZES = [(1, 7), (33, 47), (40, 24)]
UNPATCHED = nn.Module.__call__


@pytest.mark.parametrize("name", ["segnet", "segnet-basic", "enet", "fcn-basic"])
def test_eager_float32_gives_the_same_classes(name: str) -> None:
    model = trained(name)
    backend = EagerBackend(model, CPU, "float32")
    for size in SIZES:
        image = (255 * random_images(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            logits = model(image.float() / 255)
        torch.testing.assert_close(backend.logits(image), logits, rtol=0, atol=2e-5 * logits.abs().max().item())
        classes = backend.classes(image)
        assert classes.dtype == torch.uint8
        assert (classes == logits.argmax(1)).float().mean() > 0.998  # a near tie may fall either way


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_eager_in_half_precision_differs_in_few_pixels(precision: str) -> None:
    model = trained("segnet-basic")
    image = (255 * random_images(1, 3, 64, 96)).to(torch.uint8)
    with torch.no_grad():
        expected = model(image.float() / 255).argmax(1)
    share = (EagerBackend(model, CPU, precision).classes(image) == expected).float().mean()  # type: ignore[arg-type]
    # noise through random filters: a model's most doubtful pixels, of which 8 bits of mantissa move a few per cent
    assert 0.85 < share < 1 if precision == "bfloat16" else share > 0.97


@pytest.mark.slow  # OpenVINO compiles for seconds
def test_openvino_gives_the_same_classes() -> None:
    model = trained("segnet-basic")
    backend = OpenVINOBackend(model, "float32")
    for size in [(33, 47), (40, 24), (9, 11), (33, 47), (16, 16), (9, 9)]:  # more sizes than are kept compiled
        image = (255 * random_images(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            expected = model(image.float() / 255).argmax(1)
        assert (backend.classes(image) == expected).float().mean() > 0.998
    with pytest.raises(
        ShapeError, match=r"openvino cannot pool feature maps of one row or column, .* image of \(8, 9\)"
    ):
        backend.classes(torch.zeros(1, 3, 8, 9, dtype=torch.uint8))


@pytest.mark.slow
def test_onnxruntime_gives_the_same_logits() -> None:
    model = trained("segnet-basic")
    backend = ONNXRuntimeBackend(model)
    for size in SIZES:
        image = (255 * random_images(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            expected = model(image.float() / 255)
        torch.testing.assert_close(backend.logits(image), expected, rtol=0, atol=2e-5 * expected.abs().max().item())


class Tiny(nn.Module):
    """A model of one stage; wide enough for Winograd's tiles."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.normalisation = create_normalisation("lcn")
        self.encoder = ConvBN(3, channels)
        self.decoder = ConvBN(channels, channels)
        self.classifier = nn.Conv2d(channels, 5, 1)

    def forward(self, image: Tensor) -> Tensor:
        pooled, indices = max_pool(self.encoder(self.normalisation(image)))
        logits: Tensor = self.classifier(self.decoder(max_unpool(pooled, indices)))
        return logits


def openvino(model: nn.Module) -> Backend:
    pytest.importorskip("openvino")
    return OpenVINOBackend(model, "float32")


def onnxruntime(model: nn.Module) -> Backend:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    return ONNXRuntimeBackend(model)


def eager(model: nn.Module) -> Backend:
    return EagerBackend(model, CPU, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("create", [openvino, onnxruntime])
def test_threads_share_a_backend_before_and_after_warm_up(create: Callable[[nn.Module], Backend]) -> None:
    model = Tiny().eval()
    images = [(255 * random_images(1, 3, 9 + i % 3, 11)).to(torch.uint8) for i in range(24)]
    with torch.no_grad():
        expected = [model(image.float() / 255) for image in images]
    backends = [create(model), create(model)]
    with ThreadPoolExecutor(6) as pool:
        for _ in ("cold", "warm"):
            for i, found in enumerate(pool.map(lambda i: backends[i % 2].logits(images[i]), range(24))):
                torch.testing.assert_close(found, expected[i], rtol=0, atol=1e-5)  # sums of 72 products in float32
                assert torch.equal(found, backends[i % 2].logits(images[i]))
    assert nn.Module.__call__ is UNPATCHED


def test_a_model_runs_while_another_is_traced() -> None:
    model = Tiny().eval()
    backend, image = eager(model), (255 * random_images(1, 3, 9, 11)).to(torch.uint8)
    expected = backend.logits(image)
    with ThreadPoolExecutor(1) as pool:
        tracing = pool.submit(lambda: [folded(model) for _ in range(30)])
        while not tracing.done():
            assert torch.equal(backend.logits(image), expected)


@pytest.mark.parametrize(
    "create", [eager, *(pytest.param(it, marks=pytest.mark.slow) for it in (openvino, onnxruntime))]
)
def test_a_callers_autocast_changes_nothing(create: Callable[[nn.Module], Backend]) -> None:
    model, image = Tiny(192).eval(), (255 * random_images(1, 3, 9, 11)).to(torch.uint8)
    expected = create(model).logits(image)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert torch.equal(create(model).logits(image), expected)


def test_a_callers_autocast_does_not_reach_the_compiled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.runtime.compiled.require_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", lambda model, **options: model)
    model, image = Tiny().eval(), (255 * random_images(1, 3, 9, 11)).to(torch.uint8)
    backend = CompiledBackend(model, CPU, "float32")
    expected = backend.logits(image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(backend.logits(image), expected)


@pytest.mark.parametrize(
    "create", [eager, *(pytest.param(it, marks=pytest.mark.slow) for it in (openvino, onnxruntime))]
)
def test_a_callers_default_device_and_dtype_change_nothing(create: Callable[[nn.Module], Backend]) -> None:
    model, image = Tiny(192).eval(), (255 * random_images(1, 3, 9, 11)).to(torch.uint8)
    expected = create(model).logits(image)
    with torch.device("meta"):
        assert torch.equal(create(model).logits(image), expected)
    torch.set_default_dtype(torch.float64)
    try:
        found = create(model).logits(image)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_unavailable_backends_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("segnet-basic")
    with pytest.raises(ConfigError, match="unknown backend 'tensorrt'; known: auto, compiled, eager"):
        choose_backend(model, "tensorrt", CPU, "float32")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="onnxruntime does not support bfloat16"):
        choose_backend(model, "onnxruntime", CPU, "bfloat16")
    with pytest.raises(ConfigError, match="openvino runs on the CPU only, not on cuda"):
        choose_backend(model, "openvino", torch.device("cuda"), "float32")
    with pytest.raises(ConfigError, match="openvino does not support float16"):
        choose_backend(model, "openvino", CPU, "float16")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("segnet.runtime.backend.import_module", missing)
    with pytest.raises(ConfigError, match=r"openvino is not installed; pip install 'segnet\[openvino\]'"):
        choose_backend(model, "openvino", CPU, "float32")
    assert choose_backend(model, "auto", CPU, "float32").name == "eager"


def test_compiling_without_a_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.runtime.compiled.get_path", lambda name: "/nowhere")
    with pytest.raises(ConfigError, match=r"needs (Python's headers; install python3-dev|a C\+\+ compiler)"):
        choose_backend(trained("segnet-basic"), "compiled", CPU, "float32")
    monkeypatch.setattr("segnet.runtime.compiled.shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"a C\+\+ compiler and found none; install g\+\+, or use backend eager"):
        choose_backend(trained("segnet-basic"), "compiled", CPU, "float32")


def compiled_and_eager(sizes: list[tuple[int, int]]) -> list[tuple[Tensor, Tensor]]:
    """Classes of both, for each size; the compiled model is asked by two threads at a time."""
    model = trained("bilinear-interpolation")
    runs = [choose_backend(model, name, CPU, "float32") for name in ("compiled", "eager")]  # type: ignore[arg-type]
    images = [(255 * random_images(2, 3, *size)).to(torch.uint8) for size in sizes]
    with ThreadPoolExecutor(2) as pool:
        compiled = list(pool.map(runs[0].classes, images))
    return list(zip(compiled, map(runs[1].classes, images), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_compiled_gives_the_same_classes() -> None:
    # in a process of its own: compiled code and other runtimes' native libraries do not mix
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for compiled, eager in pool.submit(compiled_and_eager, [(21, 30), (16, 24)]).result():
            assert compiled.dtype == torch.uint8
            assert compiled.shape == eager.shape
            assert (compiled == eager).float().mean() > 0.998
