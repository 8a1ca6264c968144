"""Export for the authors' Caffe fork: fields of both files, and the way back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_files import basic_blobs, write_caffemodel

from segnet.caffe.caffemodel import read_caffe_file
from segnet.caffe.importing import import_caffe
from segnet.caffe.prototxt import read_prototxt
from segnet.errors import ConfigError
from segnet.export import export_weights
from segnet.labels import LabelSet, distinct_colours
from segnet.models import create_model
from segnet.weights.file import WeightsCard, load_weights, save_weights

THREE = LabelSet("three", ("a", "b", "c"), distinct_colours(3))
SIZE_PX = (45, 60)


def weights(path: Path, name: str, normalisation: str) -> Path:
    """Weights as after training: BN statistics of their own."""
    torch.manual_seed(0)
    model = create_model(name, 3, normalisation=normalisation)  # type: ignore[arg-type]
    for key, tensor in model.state_dict().items():
        if "running" in key:
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    save_weights(path, model, WeightsCard(name, THREE), dtype=torch.float32)
    return path


def test_a_caffemodel_comes_back_bit_by_bit(tmp_path: Path) -> None:
    first = write_caffemodel(tmp_path / "first.caffemodel", basic_blobs())
    import_caffe(first, THREE, tmp_path / "w.safetensors")
    export_weights(tmp_path / "w.safetensors", "caffe", tmp_path / "second.caffemodel", size_px=SIZE_PX)
    before, after = read_caffe_file(first).blobs, read_caffe_file(tmp_path / "second.caffemodel").blobs
    assert before.keys() == after.keys()
    for name, arrays in before.items():
        for old, new in zip(arrays, after[name], strict=True):
            assert new.dtype == np.float32 and old.shape == new.shape, name
            assert old.tobytes() == new.tobytes(), name
    import_caffe(tmp_path / "second.caffemodel", THREE, tmp_path / "again.safetensors")
    again, card = load_weights(tmp_path / "again.safetensors")
    model, _ = load_weights(tmp_path / "w.safetensors")
    assert card.model == "segnet-basic"
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize("normalisation", ["lrn", "raw_bgr", "caffe_bgr", "mean_std"])
def test_trained_weights_and_their_normalisation_come_back(normalisation: str, tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", "bayesian-segnet-basic", normalisation)
    exported = export_weights(path, "caffe", tmp_path / "m.caffemodel", size_px=SIZE_PX)
    assert len(exported.differences) == 2
    found = import_caffe(
        tmp_path / "m.caffemodel", THREE, tmp_path / "again.safetensors", prototxt=tmp_path / "m.prototxt"
    )
    assert (found.model, found.normalisation) == ("bayesian-segnet-basic", normalisation)
    image = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, got = (load_weights(file)[0](image) for file in (path, tmp_path / "again.safetensors"))
    assert expected.abs().mean() > 0.01
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)  # statistics folded in float32


def test_the_prototxt_is_the_forks(tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", "bayesian-segnet-basic", "lrn")
    export_weights(path, "caffe", tmp_path / "m.caffemodel", size_px=SIZE_PX, answer="classes")
    layers = {layer.text("name"): layer for layer in read_prototxt(tmp_path / "m.prototxt")}
    text = (tmp_path / "m.prototxt").read_text()
    assert 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 45\ninput_dim: 60\n' in text
    assert layers["norm"].message("lrn_param").text("alpha") == "0.0001"
    assert layers["conv1"].message("convolution_param").values == {
        "num_output": ["64"],
        "pad": ["3"],
        "kernel_size": ["7"],
    }
    assert layers["conv1_bn"].message("bn_param").text("bn_mode") == "INFERENCE"
    assert layers["pool2"].values["top"] == ["pool2", "pool2_mask"]
    upsample = layers["upsample3"]  # of 12x15 before pooling 3
    assert upsample.values["bottom"] == ["conv_decode4", "pool3_mask"]
    assert upsample.message("upsample_param").values == {"scale": ["2"], "upsample_h": ["12"], "upsample_w": ["15"]}
    assert [name for name, layer in layers.items() if layer.text("type") == "Dropout"] == [
        *("encdrop3", "encdrop4"),
        *("decdrop4", "decdrop3"),
    ]
    assert "relu_conv1" in layers and "relu_conv_decode1" not in layers
    assert layers["argmax"].message("argmax_param").text("axis") == "1"
    assert read_caffe_file(tmp_path / "m.caffemodel").types["upsample3"] == "Upsample"
    metadata = json.loads((tmp_path / "m.json").read_text())
    assert metadata["segnet.input"].startswith("BGR in [0, 255]") and json.loads(
        metadata["segnet.class_names"]
    ) == list("abc")


def test_what_the_fork_has_no_layers_for(tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", "segnet-basic", "lcn")
    out = tmp_path / "m.caffemodel"
    with pytest.raises(ConfigError, match="cannot normalise its input as LocalContrast does"):
        export_weights(path, "caffe", out, size_px=SIZE_PX)
    weights(path, "enet", "mean_std")
    with pytest.raises(ConfigError, match="no layers for ENet; only SegNet and SegNet-Basic"):
        export_weights(path, "caffe", out, size_px=SIZE_PX)
    with pytest.raises(ConfigError, match="one fixed size only"):
        export_weights(path, "caffe", out, size_px=None)
    with pytest.raises(ConfigError, match="this is a lean model"):
        export_weights("segnet-lean-camvid", "caffe", out, size_px=SIZE_PX)
    assert {file.name for file in tmp_path.iterdir()} == {"w.safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segnet", "bayesian-segnet-camvid"])
def test_segnet_comes_back(name: str, tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors", name, "raw_bgr")
    export_weights(path, "caffe", tmp_path / "m.caffemodel", size_px=SIZE_PX)
    found = import_caffe(tmp_path / "m.caffemodel", THREE, tmp_path / "again.safetensors")
    assert found.model == name
    upsamples = [
        layer.message("upsample_param").values["upsample_h"] + layer.message("upsample_param").values["upsample_w"]
        for layer in read_prototxt(tmp_path / "m.prototxt")
        if layer.text("type") == "Upsample"
    ]
    assert upsamples == [["3", "4"], ["6", "8"], ["12", "15"], ["23", "30"], ["45", "60"]]
