"""Each target in its own runtime: SegNet-Basic at an odd size, of plain operators, says what PyTorch says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from segnet.errors import ConfigError, DataError, ExportError, WeightsError
from segnet.export import TARGETS, comparison, export_weights, onnx
from segnet.export.record import Request, Written
from segnet.labels import LabelSet
from segnet.models import create_model
from segnet.weights.file import WeightsCard, load_weights, save_weights

pytestmark = pytest.mark.slow

SIZE_PX = (29, 43)
LABELS = LabelSet("three", ("left", "right", "weiß"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
KEYS = [
    f"segnet.{key}"
    for key in "model input answer label_set class_names class_colours scores trained_on licence version".split()
]
NEEDS = {
    "onnx": ("onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
    "torch-export": (),
    "aotinductor": (),
    "executorch": ("executorch",),
    "litert": ("litert_torch", "ai_edge_litert"),
    "ncnn": ("pnnx", "ncnn"),
    "coreml": ("coremltools",),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SegNet-Basic for three classes, with BN statistics of its own."""
    torch.manual_seed(0)
    model = create_model("segnet-basic", 3)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    path = tmp_path_factory.mktemp("weights") / "basic.safetensors"
    save_weights(path, model, WeightsCard("segnet-basic", LABELS, scores={"mean_iou": 0.5}))
    return path


def needs(target: str) -> None:
    """Skips where the target's tools are not installed: the heavy ones are no part of the extra `dev`."""
    for module in NEEDS[target]:
        pytest.importorskip(module, reason=f"{module} is not installed")
    if target == "aotinductor" and not shutil.which("g++"):
        pytest.skip("no C++ compiler")


def stored_metadata(target: str, path: Path) -> dict[str, str]:
    """The keys `segnet.*` of a file, by its own tool's reader."""
    match target:
        case "onnx":
            import onnx

            model = onnx.load(path)
            assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
            assert [i.name for i in model.graph.input] == ["image"]
            return {p.key: p.value for p in model.metadata_props}
        case "openvino":
            import openvino

            model = openvino.Core().read_model(path)
            return {key: model.get_rt_info(key.split(".")).astype(str) for key in KEYS}
        case "torch-export":
            extra = dict.fromkeys(KEYS, "")
            torch.export.load(path, extra_files=extra)
            return extra
        case "aotinductor":
            stored = torch._inductor.aoti_load_package(str(path)).get_metadata()
            return {key: value for key, value in stored.items() if key.startswith("segnet.")}
        case "coreml":
            import coremltools

            return dict(coremltools.models.MLModel(str(path), skip_model_load=True).user_defined_metadata)
    return dict(json.loads(path.with_suffix(".json").read_text()))


def test_every_target_is_tested() -> None:
    assert TARGETS.keys() == NEEDS.keys() | {"caffe"}  # which has tests of its own, test_export_caffe.py


def test_metadata_is_that_of_the_card(weights: Path) -> None:
    told = Request(*load_weights(weights), SIZE_PX, "logits").metadata()
    assert set(told) == set(KEYS)
    assert json.loads(told["segnet.class_names"]) == ["left", "right", "weiß"]
    assert json.loads(told["segnet.class_colours"]) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert json.loads(told["segnet.scores"]) == {"mean_iou": 0.5}
    assert told["segnet.model"] == "segnet-basic"
    assert "29x43" in told["segnet.input"]


def test_metadata_says_how_training_prepared_its_images(weights: Path) -> None:
    model, card = load_weights(weights)
    card = replace(card, longest_side_px=480, value_range=(0.0, 4095.0), bands=(4, 3, 2))
    told = Request(model, card, SIZE_PX, "logits").metadata()
    assert {key: json.loads(told[key]) for key in told.keys() - set(KEYS)} == {
        "segnet.longest_side_px": 480, "segnet.value_range": [0, 4095], "segnet.bands": [4, 3, 2],
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*Implicitly cleaning up:pytest.PytestUnraisableExceptionWarning")  # coremltools
@pytest.mark.parametrize("target", NEEDS)
def test_a_target_in_its_runtime(target: str, weights: Path, tmp_path: Path) -> None:
    needs(target)
    path = tmp_path / f"model{TARGETS[target].suffix}"
    exported = export_weights(weights, target, path, size_px=SIZE_PX)
    assert path.exists()
    assert {made.stem for made in tmp_path.iterdir()} == {"model"}
    assert sum(made.stat().st_size for made in tmp_path.rglob("*") if made.is_file()) == exported.num_bytes
    assert stored_metadata(target, path) == Request(*load_weights(weights), SIZE_PX, "logits").metadata()
    names = " ".join(exported.operators).lower()
    assert "conv" in names and "pool" in names
    for foreign in ("scatter", "gathernd", "gather_nd", "unpool", "::", "custom"):
        assert foreign not in names
    if exported.run is None:
        assert target == "coreml"
        return
    assert [d.image for d in exported.differences] == ["noise 29x43", "drawn street 29x43"]
    model, _ = load_weights(weights)
    image = np.random.default_rng(5).random((1, 3, *SIZE_PX), np.float32)
    with torch.inference_mode():
        logits = model(torch.from_numpy(image)).numpy()
    # The logits are of size 1; float32 sums of 3136 products in another order differ by some 1e-5 at most.
    np.testing.assert_allclose(exported.run(image), logits, atol=1e-4)
    turned = np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(exported.run(turned), logits, atol=1e-4)  # whatever the layout in memory


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_one_file_for_any_size_and_class_ids_inside(target: str, weights: Path, tmp_path: Path) -> None:
    needs(target)
    path = tmp_path / f"model{TARGETS[target].suffix}"
    exported = export_weights(weights, target, path, size_px=None, answer="classes")
    assert [d.image for d in exported.differences] == ["noise 75x101", "drawn street 96x128"]
    assert exported.run is not None
    model, _ = load_weights(weights)
    for size in ((33, 70), (64, 31)):
        image = np.random.default_rng(6).random((1, 3, *size), np.float32)
        classes = exported.run(image)
        assert classes.dtype == np.uint8
        with torch.inference_mode():
            expected = model(torch.from_numpy(image)).argmax(1).numpy()
        assert (classes != expected).mean() <= comparison.CLASSES_LIMIT


def test_an_export_that_differs_is_not_kept(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(request: Request, path: Path) -> Written:
        path.write_text("half")
        path.with_suffix(".bin").write_text("half")
        return Written("wrong", "1", {"Conv": 1}, lambda image: np.zeros((1, 3, *SIZE_PX), np.float32))

    monkeypatch.setitem(TARGETS, "onnx", TARGETS["onnx"]._replace(write=wrong))
    (tmp_path / "model.onnx").write_text("older")
    with pytest.raises(ExportError, match="noise 29x43"):
        export_weights(weights, "onnx", tmp_path / "model.onnx", size_px=SIZE_PX)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "older"


@pytest.mark.parametrize("strange", ["ScatterND", "GatherND", "aten.max_unpool2d", "ai.segnet::Unpool"])
def test_special_operators_are_refused(
    strange: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(request: Request, path: Path) -> Written:
        path.write_text("model")
        return Written("any", "1", {strange: 1, "Conv": 2}, lambda image: image)

    monkeypatch.setitem(TARGETS, "onnx", TARGETS["onnx"]._replace(write=write))
    with pytest.raises(ExportError, match=f"operators that not every runtime supports: {strange}; not exported"):
        export_weights(weights, "onnx", tmp_path / "model.onnx", size_px=SIZE_PX)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_tool_names_its_extra(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "require", lambda module, extra: onnx_require(f"no_{module}", extra))
    onnx_require = __import__("segnet.export.tools", fromlist=["require"]).require
    with pytest.raises(ConfigError, match=r"'no_onnx' is not installed; pip install 'segnet\[onnx\]'"):
        export_weights(weights, "onnx", tmp_path / "model.onnx", size_px=SIZE_PX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "name", "size_px", "answer", "error", "words"),
    [
        ("onx", "model.onnx", SIZE_PX, "logits", ConfigError, "did you mean 'onnx'"),
        ("onnx", "model.pt", SIZE_PX, "logits", ConfigError, "onnx writes .onnx"),
        ("executorch", "model.pte", None, "logits", ConfigError, "give --size HEIGHTxWIDTH"),
        ("ncnn", "model.param", SIZE_PX, "classes", ConfigError, "use --answer logits"),
        ("torch-export", "model.pt2", SIZE_PX, "class", ConfigError, "did you mean 'classes'"),
    ],
)
def test_unsupported_requests_are_refused(
    target: str,
    name: str,
    size_px: tuple[int, int],
    answer: str,
    error: type,
    words: str,
    weights: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=words):
        export_weights(weights, target, tmp_path / name, size_px=size_px, answer=answer)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_and_images(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.safetensors"):
        export_weights(tmp_path / "nothing.safetensors", "onnx", tmp_path / "model.onnx", size_px=SIZE_PX)
    with pytest.raises(DataError, match=r"nothing\.png"):
        export_weights(weights, "onnx", tmp_path / "model.onnx", size_px=SIZE_PX, image=tmp_path / "nothing.png")
    assert list(tmp_path.iterdir()) == []
