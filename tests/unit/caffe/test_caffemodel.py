"""Caffemodels written by the test, byte by byte, and models that then compute what the authors' layers compute."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segnet.caffe import caffemodel as module
from segnet.caffe.caffemodel import Blobs, load_caffemodel, read_caffemodel
from segnet.errors import WeightsError
from segnet.models import create_model
from segnet.models.segnet import BayesianSegNetBasic, SegNet, SegNetBasic

Array = NDArray[np.floating]


# ------------------------------------------------------------------------------------------------ writing


def varint(value: int) -> bytes:
    groups = []
    while True:
        value, low = divmod(value, 128)
        groups.append(low | (128 if value else 0))
        if not value:
            return bytes(groups)


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def content(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array: Array) -> bytes:
    """As Caffe writes it today: shape, packed floats, and a diff that is to be ignored."""
    shape = content(7, content(1, b"".join(varint(side) for side in array.shape)))
    return shape + content(5, array.astype("<f4").tobytes()) + content(6, b"\0\0\0\0")


def layer(name: str, arrays: list[Array], write: Callable[[Array], bytes] = blob) -> bytes:
    parts = content(1, name.encode()) + content(2, b"Convolution") + b"".join(content(7, write(a)) for a in arrays)
    return content(100, parts + integer(10, 1))


def write_caffemodel(path: Path, blobs: Blobs) -> Path:
    model = content(1, b"model") + layer("data", []) + b"".join(layer(name, arrays) for name, arrays in blobs.items())
    path.write_bytes(model)
    return path


# ------------------------------------------------------------------------------------------------ the authors' models


def drawn(layers: list[tuple[str, int, int, int]]) -> Blobs:
    """Arrays of convolutions (name, in, out, side) and, unless the name ends in `!`, of the BN that follows."""
    rng = np.random.default_rng(4)
    blobs: Blobs = {}
    for marked, in_channels, width, side in layers:
        name = marked.rstrip("!")
        noise = rng.standard_normal((width, in_channels, side, side), np.float32)
        blobs[name] = [noise * np.float32((2 / (in_channels * side * side)) ** 0.5)]
        blobs[name].append(rng.standard_normal(width, np.float32) / 3)
        if marked == name:
            scale = rng.uniform(0.6, 1.4, width).astype(np.float32) * np.where(rng.random(width) < 0.1, -1, 1)
            shift = rng.standard_normal(width, np.float32) / 3
            blobs[f"{name}_bn"] = [scale.astype(np.float32).reshape(1, -1, 1, 1), shift.reshape(1, -1, 1, 1)]
    return blobs


def basic_blobs(num_classes: int = 3, classifier: str = "conv_classifier") -> Blobs:
    layers = [("conv1", 3, 64, 7), *((f"conv{n}", 64, 64, 7) for n in (2, 3, 4))]
    layers += [(f"conv_decode{n}", 64, 64, 7) for n in (4, 3, 2, 1)]
    return drawn([*layers, (f"{classifier}!", 64, num_classes, 1)])


SEGNET_LAYERS = """
    conv1_1 3 64, conv1_2 64 64, conv2_1 64 128, conv2_2 128 128, conv3_1 128 256, conv3_2 256 256, conv3_3 256 256,
    conv4_1 256 512, conv4_2 512 512, conv4_3 512 512, conv5_1 512 512, conv5_2 512 512, conv5_3 512 512,
    conv5_3_D 512 512, conv5_2_D 512 512, conv5_1_D 512 512, conv4_3_D 512 512, conv4_2_D 512 512, conv4_1_D 512 256,
    conv3_3_D 256 256, conv3_2_D 256 256, conv3_1_D 256 128, conv2_2_D 128 128, conv2_1_D 128 64, conv1_2_D 64 64,
    conv1_1_D! 64 3
"""


def tensors(blobs: Blobs, name: str) -> Iterator[Tensor]:
    return (torch.from_numpy(array).double() for array in blobs[name])


def convolve(blobs: Blobs, name: str, features: Tensor, *, relu: bool) -> Tensor:
    """The authors' convolution with its bias, then scale and shift, then perhaps a ReLU."""
    weight, bias = tensors(blobs, name)
    features = F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)
    if f"{name}_bn" in blobs:
        scale, shift = tensors(blobs, f"{name}_bn")
        features = features * scale + shift
    return features.relu() if relu else features


def walk(blobs: Blobs, bgr: Tensor, stages: list[list[str]], decoders: list[list[str]], *, relu: bool) -> Tensor:
    """Encoder stages, then decoder stages from the deepest, with torch's own pooling pair; float64."""
    features, kept = bgr, []
    for names in stages:
        for name in names:
            features = convolve(blobs, name, features, relu=True)
        size = features.shape[2:]
        features, flat = F.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
        kept.append((flat, size))
    for names in decoders:
        flat, size = kept.pop()
        features = F.max_unpool2d(features, flat, 2, 2, output_size=size)
        for name in names:
            features = convolve(blobs, name, features, relu=relu and name != "conv1_1_D")
    return features


IMAGE = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
BGR = IMAGE.flip(1) * 255


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
    with pytest.raises(WeightsError, match="is not a complete caffemodel"):
        read_caffemodel(path)
    for nothing in (b"", layer("data", [])):
        path.write_bytes(nothing)
        with pytest.raises(WeightsError, match="no layer in it has arrays"):
            read_caffemodel(path)
    path.write_bytes(layer("a", [np.ones(3)], lambda a: content(7, content(1, b"\x04")) + blob(a)[5:]))
    with pytest.raises(WeightsError, match=r"layer a: an array of shape \(4,\) in 12 bytes"):
        read_caffemodel(path)


# ------------------------------------------------------------------------------------------------ loading


def segnet_basic(blobs: Blobs) -> Tensor:
    squares = BGR.square().sum(1, keepdim=True)
    normed = BGR / (1 + float(np.float32(1e-4)) / 5 * squares) ** 0.75
    encoder = [[f"conv{n}"] for n in (1, 2, 3, 4)]
    decoder = [[f"conv_decode{n}"] for n in (4, 3, 2, 1)]
    features = walk(blobs, normed, encoder, decoder, relu=False)
    return convolve(
        blobs, next(n for n in blobs if n in ("conv_classifier", "dense_softmax_inner_prod")), features, relu=False
    )


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
    for name in ("segnet", "segnet-basic"):
        model = create_model(name, 3)
        layers, _ = module._layers_of(model)
        named = {f"{layer.module}.{key}" for layer in layers for key in model.get_submodule(layer.module).state_dict()}
        assert named == set(model.state_dict())
