"""`segnet export` and `segnet benchmark export` from outside: what they print and write, and how they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segnet.benchmark.measure.exports import BEGIN, END, read_page
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, create_model("bilinear-interpolation", 11), WeightsCard("bilinear-interpolation", CAMVID_11))
    return path


def test_export_prints_the_comparison(run: Run, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt2"
    code, out_text, err = run("export", "--weights", weights, "--to", "torch-export", "--size", "20x30", "--out", out)
    assert code == 0, err
    for words in ("noise 20x30", "drawn street 20x30", "0.0000%", "conv2d", "ran in PyTorch", "agrees with PyTorch"):
        assert words in out_text
    assert out.is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "onx", "--out", "model.onnx"], ["unknown export target 'onx'", "did you mean 'onnx'?"]),
        (["--to", "onnx", "--out", "model.pt"], ["give the file that suffix"]),
        (["--to", "ncnn", "--out", "model.param", "--size", "dynamic"], ["give --size HEIGHTxWIDTH"]),
        (["--to", "onnx", "--out", "model.onnx", "--size", "big"], ["HEIGHTxWIDTH"]),
        (["--to", "onnx", "--out", "model.onnx", "--answer", "class"], ["did you mean 'classes'?"]),
        (["--to", "onnx", "--out", "model.onnx", "--image", "nowhere.png"], ["nowhere.png"]),
    ],
)
def test_wrong_options_are_refused_and_write_nothing(
    run: Run, arguments: list[str], words: list[str], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", "--weights", weights, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_files_of_another_origin_are_not_overwritten(run: Run, weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    export = ["export", "--weights", weights, "--size", "20x30"]
    for target, name in (("onnx", "model.onnx"), ("coreml", "model.mlpackage")):
        precious = tmp_path / name / "precious.txt"
        precious.parent.mkdir()
        precious.write_text("mine")
        code, _, err = run(*export, "--to", target, "--out", tmp_path / name)
        assert (code, err.count("\n")) == (2, 1)
        assert f"{name} is a folder that {target} did not write" in err
        assert precious.read_text() == "mine"
    (tmp_path / "model.bin").write_text("of ncnn")
    code, _, err = run(*export, "--to", "openvino", "--out", tmp_path / "model.xml")
    assert (code, err.count("\n")) == (2, 1)
    assert "model.bin exists although model.xml does not" in err
    assert (tmp_path / "model.bin").read_text() == "of ncnn"
    (tmp_path / "model.bin").unlink()
    for _ in range(2):  # and over its own it may go
        code, _, err = run(*export, "--to", "openvino", "--out", tmp_path / "model.xml")
        assert code == 0, err


def test_an_export_that_differs_is_an_error_and_is_deleted(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segnet.export import comparison

    monkeypatch.setattr(comparison, "MEAN_LIMIT", -1.0)
    out = tmp_path / "model.pt2"
    code, _, err = run("export", "--weights", weights, "--to", "torch-export", "--size", "20x30", "--out", out)
    assert code == 2
    assert "ExportError: noise 20x30: logits differ" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_benchmark_fills_the_page_and_keeps_other_rows(run: Run, weights: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "export.md", tmp_path / "export.json"
    page.write_text(f"# Export\n{BEGIN}\nolder\n{END}\nrest\n")
    arguments = ["benchmark", "export", "--weights", weights, "--size", "20x30", "--repeats", 1, "--out", out]
    kept = {"target": "ncnn", "refused": "pnnx is not installed"}
    out.write_text(json.dumps({"commands": ["segnet benchmark export --targets ncnn"], "rows": [kept]}))
    code, _, err = run(*arguments, "--targets", "torch-export", "--page", page)
    assert code == 0, err
    record = json.loads(out.read_text())
    assert [row["target"] for row in record["rows"]] == ["pytorch", "torch-export", "ncnn"]
    assert record["rows"][2] == kept
    assert record["rows"][1]["latency"]["median_ms"] > 0
    assert record["rows"][1]["differences"][0]["classes_changed"] == 0
    text = page.read_text()
    assert text.startswith("# Export\n") and text.endswith("\nrest\n") and "older" not in text
    assert "| `torch-export` | PyTorch" in text and "0.0000%" in text and "conv2d" in text
    assert "Images of 20x30." in text
    assert "| `ncnn` | pnnx is not installed | - |" in text
    assert "    segnet benchmark export --targets ncnn\n    segnet benchmark export --weights" in text


def test_benchmark_checks_the_markers_before_measuring(run: Run, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Export\n")
    code, out_text, err = run("benchmark", "export", "--weights", weights, "--page", tmp_path / "page.md")
    assert code == 2
    assert "expected a page with the lines" in err
    assert "ms" not in out_text
    assert run("benchmark", "export", "--targets", "onx")[0] == 2


def test_the_page_in_docs_names_every_target_and_has_a_place_for_the_table() -> None:
    from segnet.export import TARGETS

    page = Path(__file__).resolve().parents[2] / "docs" / "export.md"
    before, _ = read_page(page)
    for name, target in TARGETS.items():
        row = next(line for line in before.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"`{target.suffix}`" in row
        assert ("dynamic" in row) == target.dynamic
