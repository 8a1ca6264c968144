"""Nets of other kinds in ONNX: dilated and transposed convolutions, bilinear upsampling, ENet's unpooling, crops."""

from pathlib import Path

import pytest
import torch

from segnet.export import export_weights
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.models.weights import WeightsCard, save_weights


@pytest.mark.parametrize("net", ["bilinear-interpolation", "fcn-basic", "enet", "deeplab-largefov", "segnet"])
def test_a_net_in_onnx_says_what_pytorch_says(net: str, tmp_path: Path) -> None:
    for tool in ("onnxscript", "onnxruntime"):
        pytest.importorskip(tool)
    torch.manual_seed(0)
    save_weights(tmp_path / "net.safetensors", create_model(net, 11), WeightsCard(net, CAMVID_11))
    exported = export_weights(tmp_path / "net.safetensors", "onnx", tmp_path / "net.onnx", size_px=(45, 61))
    assert len(exported.differences) == 2  # each within the limits, or there would be no file
    assert exported.operators["Conv"] >= 9
    assert (exported.operators.get("ConvTranspose", 0) > 0) == (net in {"fcn-basic", "enet"})
    assert ("Equal" in exported.operators) == (net in {"enet", "segnet"})  # where unpooling finds its places
