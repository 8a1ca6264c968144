"""Every backend says what the net itself says."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from torch import Tensor
from trained_nets import pictures, trained

from segnet.errors import ConfigError, ShapeError
from segnet.runtime.choose import choose_backend
from segnet.runtime.eager import EagerBackend
from segnet.runtime.onnxruntime import ONNXRuntimeBackend
from segnet.runtime.openvino import OpenVINOBackend

CPU = torch.device("cpu")
SIZES = [(1, 7), (33, 47), (40, 24)]


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
    """Classes of both, for each size."""
    net = trained("bilinear-interpolation")
    runs = [choose_backend(net, name, CPU, "float32") for name in ("compiled", "eager")]  # type: ignore[arg-type]
    images = [(255 * pictures(2, 3, *size)).to(torch.uint8) for size in sizes]
    return [(runs[0].classes(image), runs[1].classes(image)) for image in images]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_compiled_gives_the_same_classes() -> None:
    # in a process of its own: compiled code and other runtimes' native libraries do not mix
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for compiled, eager in pool.submit(compiled_and_eager, [(21, 30), (16, 24)]).result():
            assert compiled.dtype == torch.uint8
            assert compiled.shape == eager.shape
            assert (compiled == eager).float().mean() > 0.998
