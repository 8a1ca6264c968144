"""Caffemodels written by the test, byte by byte, and models that then compute what the authors' layers compute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_files import (
    BGR,
    IMAGE,
    SEGNET_LAYERS,
    Array,
    basic_blobs,
    blob,
    content,
    drawn,
    integer,
    layer,
    segnet_basic,
    varint,
    walk,
    write_caffemodel,
)

from segnet.caffe import caffemodel as module
from segnet.caffe.caffemodel import load_caffemodel, read_caffemodel
from segnet.caffe.layouts import layout_of
from segnet.errors import WeightsError
from segnet.models import create_model
from segnet.models.segnet import BayesianSegNetBasic, SegNet, SegNetBasic

# ------------------------------------------------------------------------------------------------ reading


def test_arrays_and_names_come_back(tmp_path: Path) -> None:
    blobs = basic_blobs()
    read = read_caffemodel(write_caffemodel(tmp_path / "model.caffemodel", blobs))
    assert list(read) == list(blobs)  # the data layer has no arrays
    for name, arrays in blobs.items():
        assert [a.shape for a in read[name]] == [a.shape for a in arrays]
        assert all(np.array_equal(a, b) for a, b in zip(read[name], arrays, strict=True))


def test_every_form_of_an_array(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float64).reshape(1, 2, 3, 1) / 7
    small = array.astype(np.float32)

    def legacy(a: Array) -> bytes:
        return b"".join(integer(n, side) for n, side in enumerate(a.shape, 1)) + content(5, a.astype("<f4").tobytes())

    def unpacked(a: Array) -> bytes:
        shape = content(7, b"".join(integer(1, side) for side in a.shape))
        return shape + b"".join(varint(5 << 3 | 5) + v.tobytes() for v in a.astype("<f4").ravel())

    def double(a: Array) -> bytes:
        return content(7, content(1, bytes(a.shape))) + content(8, a.astype("<f8").tobytes())

    path = tmp_path / "model.caffemodel"
    for write, expected in ((legacy, small), (unpacked, small), (double, array)):
        path.write_bytes(layer("a", [array], write))
        (got,) = read_caffemodel(path)["a"]
        assert got.dtype == expected.dtype and np.array_equal(got, expected), write


def test_layers_of_2014(tmp_path: Path) -> None:
    array = np.ones((1, 1, 1, 2), np.float32)
    path = tmp_path / "model.caffemodel"
    path.write_bytes(content(2, content(4, b"conv1_1") + integer(5, 4) + content(6, blob(array))))
    assert np.array_equal(read_caffemodel(path)["conv1_1"][0], array)


def test_files_that_are_no_caffemodel(tmp_path: Path) -> None:
    path = tmp_path / "model.caffemodel"
    with pytest.raises(WeightsError, match=r"model.caffemodel cannot be read: No such file"):
        read_caffemodel(path)
    with pytest.raises(WeightsError, match="cannot be read: Is a directory"):
        read_caffemodel(tmp_path)
    whole = write_caffemodel(path, {"a": [np.ones((2, 3), np.float32)]}).read_bytes()
    for cut in (1, 10, 30):
        path.write_bytes(whole[:-cut])
        with pytest.raises(WeightsError, match=r"model.caffemodel is not a complete caffemodel: .*truncated") as caught:
            read_caffemodel(path)
        assert "\n" not in str(caught.value)
    path.write_text('name: "segnet"\nlayer {\n  name: "conv1"\n}\n')
    with pytest.raises(WeightsError, match="is a prototxt, which has no weights"):
        read_caffemodel(path)
    for nothing in (b"", layer("data", [])):
        path.write_bytes(nothing)
        with pytest.raises(WeightsError, match="no layer has arrays"):
            read_caffemodel(path)
    path.write_bytes(layer("a", [np.ones(3)], lambda a: content(7, content(1, b"\x04")) + blob(a)[5:]))
    with pytest.raises(WeightsError, match=r"layer a: an array of shape \(4,\) in 12 bytes"):
        read_caffemodel(path)


# ------------------------------------------------------------------------------------------------ loading


@pytest.mark.parametrize("classifier", ["conv_classifier", "dense_softmax_inner_prod"])
def test_segnet_basic_computes_what_the_authors_compute(tmp_path: Path, classifier: str) -> None:
    blobs = basic_blobs(classifier=classifier)
    kind = SegNetBasic if classifier == "conv_classifier" else BayesianSegNetBasic
    model = kind(3, normalisation="lrn").double().eval()
    load_caffemodel(model, write_caffemodel(tmp_path / "model.caffemodel", blobs))
    expected = segnet_basic(blobs)
    with torch.inference_mode():
        assert expected.abs().mean() > 0.1
        assert (model(IMAGE) - expected).abs().max() <= 1e-10  # float64 sums in another order


def test_segnet_computes_what_the_authors_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [entry.split() for entry in SEGNET_LAYERS.split(",")]
    blobs = drawn([(name, int(a), int(b), 3) for name, a, b in parts])
    assert len(blobs) == 26 + 25
    monkeypatch.setattr(module, "read_caffemodel", lambda _: blobs)  # 118 MB would be read; reading is tested above
    model = SegNet(3, normalisation="raw_bgr").double().eval()
    load_caffemodel(model, tmp_path / "model.caffemodel")
    names = [name.rstrip("!") for name, _, _ in parts]
    stages = [[n for n in names[:13] if n.startswith(f"conv{s}")] for s in range(1, 6)]
    decoders = [[n for n in names[13:] if n.startswith(f"conv{s}")] for s in range(5, 0, -1)]
    with torch.inference_mode():
        got, expected = model(IMAGE), walk(blobs, BGR, stages, decoders, relu=True)
    assert expected.abs().mean() > 0.1
    assert (got - expected).abs().max() <= 1e-10 * expected.abs().max()  # float64 sums in another order


def test_files_of_another_model_leave_ours_untouched(tmp_path: Path) -> None:
    model = SegNetBasic(3, normalisation="lrn")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    blobs, path = basic_blobs(), tmp_path / "model.caffemodel"
    with pytest.raises(
        WeightsError, match=r"'conv_classifier': expected arrays of \(3, 64, 1, 1\).*got \(4, 64, 1, 1\)"
    ):
        load_caffemodel(model, write_caffemodel(path, basic_blobs(4)))
    with pytest.raises(WeightsError, match=r"has no layer 'conv_decode1_bn'; did you mean 'conv_decode\d_bn'"):
        load_caffemodel(model, write_caffemodel(path, {n: a for n, a in blobs.items() if n != "conv_decode1_bn"}))
    with pytest.raises(
        WeightsError, match=r"layer 'conv2': expected arrays of .* and \(64,\), got \(64, 64, 7, 7\); the"
    ):
        load_caffemodel(model, write_caffemodel(path, blobs | {"conv2": blobs["conv2"][:1]}))
    write_caffemodel(path, blobs)
    with pytest.raises(
        WeightsError, match=r"normalisation 'lrn', the model has 'lcn'; set model.normalisation to 'lrn'"
    ):
        load_caffemodel(SegNetBasic(3), path)
    with pytest.raises(WeightsError, match="fit SegNet and SegNet-Basic, not Conv2d"):
        load_caffemodel(torch.nn.Conv2d(1, 1, 1), path)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_a_layer_counts_for_every_parameter() -> None:
    for name in ("segnet", "segnet-basic", "bayesian-segnet-camvid"):
        model = create_model(name, 3)
        layers = layout_of(model).layers()
        named = {f"{layer.module}.{key}" for layer in layers for key in model.get_submodule(layer.module).state_dict()}
        assert named == set(model.state_dict())
