"""Every backend says what the net itself says."""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from torch import Tensor, nn
from trained_nets import pictures, trained

from segnet.errors import ConfigError, ShapeError
from segnet.layers import ConvBN, create_normalisation
from segnet.pooling import max_pool, max_unpool
from segnet.runtime.backend import Backend
from segnet.runtime.choose import choose_backend
from segnet.runtime.compiled import CompiledBackend
from segnet.runtime.eager import EagerBackend
from segnet.runtime.fold import folded
from segnet.runtime.onnxruntime import ONNXRuntimeBackend
from segnet.runtime.openvino import OpenVINOBackend

CPU = torch.device("cpu")
SIZES = [(1, 7), (33, 47), (40, 24)]
UNPATCHED = nn.Module.__call__


@pytest.mark.parametrize("name", ["segnet", "segnet-basic", "enet", "fcn-basic"])
def test_eager_float32_gives_the_same_classes(name: str) -> None:
    net = trained(name)
    backend = EagerBackend(net, CPU, "float32")
    for size in SIZES:
        image = (255 * pictures(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            logits = net(image.float() / 255)
        torch.testing.assert_close(backend.logits(image), logits, rtol=0, atol=2e-5 * logits.abs().max().item())
        classes = backend.classes(image)
        assert classes.dtype == torch.uint8
        assert (classes == logits.argmax(1)).float().mean() > 0.998  # a near tie may fall either way


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_eager_in_half_precision_differs_in_few_pixels(precision: str) -> None:
    net = trained("segnet-basic")
    image = (255 * pictures(1, 3, 64, 96)).to(torch.uint8)
    with torch.no_grad():
        wanted = net(image.float() / 255).argmax(1)
    share = (EagerBackend(net, CPU, precision).classes(image) == wanted).float().mean()  # type: ignore[arg-type]
    # noise through random filters: a net's most doubtful pixels, of which 8 bits of mantissa move a few per cent
    assert 0.85 < share < 1 if precision == "bfloat16" else share > 0.97


def test_openvino_gives_the_same_classes() -> None:
    net = trained("segnet-basic")
    backend = OpenVINOBackend(net, "float32")
    for size in [(33, 47), (40, 24), (9, 11), (33, 47), (16, 16), (9, 9)]:  # more sizes than are kept compiled
        image = (255 * pictures(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            wanted = net(image.float() / 255).argmax(1)
        assert (backend.classes(image) == wanted).float().mean() > 0.998
    with pytest.raises(ShapeError, match=r"openvino cannot pool maps of one row or column, .* picture of \(8, 9\)"):
        backend.classes(torch.zeros(1, 3, 8, 9, dtype=torch.uint8))


def test_onnxruntime_gives_the_same_numbers() -> None:
    net = trained("segnet-basic")
    backend = ONNXRuntimeBackend(net)
    for size in SIZES:
        image = (255 * pictures(2, 3, *size)).to(torch.uint8)
        with torch.no_grad():
            wanted = net(image.float() / 255)
        torch.testing.assert_close(backend.logits(image), wanted, rtol=0, atol=2e-5 * wanted.abs().max().item())


class Tiny(nn.Module):
    """A net of one stage; wide enough for Winograd's tiles."""

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


def openvino(net: nn.Module) -> Backend:
    pytest.importorskip("openvino")
    return OpenVINOBackend(net, "float32")


def onnxruntime(net: nn.Module) -> Backend:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    return ONNXRuntimeBackend(net)


def eager(net: nn.Module) -> Backend:
    return EagerBackend(net, CPU, "float32")


@pytest.mark.parametrize("create", [openvino, onnxruntime])
def test_threads_may_share_a_backend_cold_and_warm(create: Callable[[nn.Module], Backend]) -> None:
    net = Tiny().eval()
    images = [(255 * pictures(1, 3, 9 + i % 3, 11)).to(torch.uint8) for i in range(24)]
    with torch.no_grad():
        wanted = [net(image.float() / 255) for image in images]
    backends = [create(net), create(net)]
    with ThreadPoolExecutor(6) as pool:
        for _ in ("cold", "warm"):
            for i, found in enumerate(pool.map(lambda i: backends[i % 2].logits(images[i]), range(24))):
                torch.testing.assert_close(found, wanted[i], rtol=0, atol=1e-5)  # sums of 72 products in float32
                assert torch.equal(found, backends[i % 2].logits(images[i]))
    assert nn.Module.__call__ is UNPATCHED


def test_a_net_runs_while_another_is_traced() -> None:
    net = Tiny().eval()
    backend, image = eager(net), (255 * pictures(1, 3, 9, 11)).to(torch.uint8)
    wanted = backend.logits(image)
    with ThreadPoolExecutor(1) as pool:
        tracing = pool.submit(lambda: [folded(net) for _ in range(30)])
        while not tracing.done():
            assert torch.equal(backend.logits(image), wanted)


@pytest.mark.parametrize("create", [eager, openvino, onnxruntime])
def test_a_callers_autocast_changes_no_answer(create: Callable[[nn.Module], Backend]) -> None:
    net, image = Tiny(192).eval(), (255 * pictures(1, 3, 9, 11)).to(torch.uint8)
    wanted = create(net).logits(image)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert torch.equal(create(net).logits(image), wanted)


def test_a_callers_autocast_does_not_reach_the_compiled_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.runtime.compiled.require_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", lambda net, **options: net)
    net, image = Tiny().eval(), (255 * pictures(1, 3, 9, 11)).to(torch.uint8)
    backend = CompiledBackend(net, CPU, "float32")
    wanted = backend.logits(image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(backend.logits(image), wanted)


@pytest.mark.parametrize("create", [eager, openvino, onnxruntime])
def test_a_callers_default_device_and_type_change_no_answer(create: Callable[[nn.Module], Backend]) -> None:
    net, image = Tiny(192).eval(), (255 * pictures(1, 3, 9, 11)).to(torch.uint8)
    wanted = create(net).logits(image)
    with torch.device("meta"):
        assert torch.equal(create(net).logits(image), wanted)
    torch.set_default_dtype(torch.float64)
    try:
        found = create(net).logits(image)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


def test_what_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained("segnet-basic")
    with pytest.raises(ConfigError, match="unknown backend 'tensorrt'; known: auto, compiled, eager"):
        choose_backend(net, "tensorrt", CPU, "float32")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="onnxruntime has no bfloat16"):
        choose_backend(net, "onnxruntime", CPU, "bfloat16")
    with pytest.raises(ConfigError, match="openvino runs on the processor, not on cuda"):
        choose_backend(net, "openvino", torch.device("cuda"), "float32")
    with pytest.raises(ConfigError, match="openvino has no float16"):
        choose_backend(net, "openvino", CPU, "float16")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("segnet.runtime.backend.import_module", missing)
    with pytest.raises(ConfigError, match=r"openvino is not installed; pip install 'segnet\[openvino\]'"):
        choose_backend(net, "openvino", CPU, "float32")
    assert choose_backend(net, "auto", CPU, "float32").name == "eager"


def test_compiling_without_a_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.runtime.compiled.get_path", lambda name: "/nowhere")
    with pytest.raises(ConfigError, match=r"needs (Python's headers; install python3-dev|a C\+\+ compiler)"):
        choose_backend(trained("segnet-basic"), "compiled", CPU, "float32")
    monkeypatch.setattr("segnet.runtime.compiled.shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"a C\+\+ compiler and finds none; install g\+\+, or use backend eager"):
        choose_backend(trained("segnet-basic"), "compiled", CPU, "float32")


def compiled_and_eager(sizes: list[tuple[int, int]]) -> list[tuple[Tensor, Tensor]]:
    """Classes of both, for each size; the compiled net is asked by two threads at a time."""
    net = trained("bilinear-interpolation")
    runs = [choose_backend(net, name, CPU, "float32") for name in ("compiled", "eager")]  # type: ignore[arg-type]
    images = [(255 * pictures(2, 3, *size)).to(torch.uint8) for size in sizes]
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
