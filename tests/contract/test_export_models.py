"""Models of other kinds in ONNX: dilated and transposed convolutions, bilinear upsampling, ENet's unpooling, crops."""

from pathlib import Path

import pytest
import torch

from segnet.export import export_weights
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights


@pytest.mark.parametrize("model", ["bilinear-interpolation", "fcn-basic", "enet", "deeplab-largefov", "segnet"])
def test_a_model_in_onnx_says_what_pytorch_says(model: str, tmp_path: Path) -> None:
    for tool in ("onnxscript", "onnxruntime"):
        pytest.importorskip(tool)
    torch.manual_seed(0)
    save_weights(tmp_path / "model.safetensors", create_model(model, 11), WeightsCard(model, CAMVID_11))
    exported = export_weights(tmp_path / "model.safetensors", "onnx", tmp_path / "model.onnx", size_px=(45, 61))
    assert len(exported.differences) == 2  # each within the limits, or there would be no file
    assert exported.operators["Conv"] >= 9
    assert (exported.operators.get("ConvTranspose", 0) > 0) == (model in {"fcn-basic", "enet"})
    assert ("Equal" in exported.operators) == (model in {"enet", "segnet"})  # where unpooling finds its places
