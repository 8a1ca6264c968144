"""Caffe files of every layout as weights files, by function and by command."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_files import (
    BGR,
    IMAGE,
    SEGNET_LAYERS,
    basic_blobs,
    content,
    drawn,
    integer,
    layer,
    segnet_basic,
    walk,
    write_caffemodel,
)
from typer.testing import CliRunner

from segnet.caffe import importing
from segnet.caffe.caffemodel import Blobs, CaffeFile
from segnet.caffe.exporting import caffe_files
from segnet.caffe.importing import CAMVID_12, find_label_set, import_caffe
from segnet.cli import app
from segnet.errors import DataError, LabelError, WeightsError
from segnet.labels import CAMVID_11, SUN_37, LabelSet, distinct_colours
from segnet.models import create_model
from segnet.weights.file import load_weights

THREE = LabelSet("three", ("a", "b", "c"), distinct_colours(3))


def segnet_blobs(num_classes: int, *, extra: bool = False) -> Blobs:
    """SegNet's arrays; with `extra` a layer `camvid` gives the classes."""
    parts = [entry.split() for entry in SEGNET_LAYERS.split(",")]
    layers = [(name, int(a), int(b), 3) for name, a, b in parts[:-1]]
    if extra:
        layers += [("conv1_1_D", 64, 64, 3), ("camvid!", 64, num_classes, 3)]
    else:
        layers.append(("conv1_1_D!", 64, num_classes, 3))
    return drawn(layers)


def merged(blobs: Blobs) -> Blobs:
    """BN multiplied into the convolutions, as the authors' script does it."""
    result: Blobs = {}
    for name, arrays in blobs.items():
        if name.endswith("_bn"):
            continue
        weight, bias = arrays
        if f"{name}_bn" in blobs:
            scale, shift = (array.ravel() for array in blobs[f"{name}_bn"])
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
        result[name] = [weight, bias]
    return result


def logits_of(weights: Path) -> tuple[str, torch.Tensor]:
    model, card = load_weights(weights)
    with torch.inference_mode():
        return card.model, model.double()(IMAGE)


def require_near(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal up to the float32 rounding of 1 - 1e-9, the variance that makes BN a plain scale."""
    assert expected.abs().mean() > 0.1
    assert float((got - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


# ------------------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("classifier", ["conv_classifier", "dense_softmax_inner_prod"])
@pytest.mark.parametrize("form", ["batch normalisation", "merged"])
def test_segnet_basic(classifier: str, form: str, tmp_path: Path) -> None:
    blobs = basic_blobs(classifier=classifier)
    blobs = blobs if form == "batch normalisation" else merged(blobs)
    path = write_caffemodel(tmp_path / "m.caffemodel", blobs)
    found = import_caffe(path, THREE, tmp_path / "w.safetensors")
    assert (found.model, found.normalisation, found.num_classes) == ("segnet-basic", "lrn", 3)
    assert found.merged_batch_norm == (form == "merged")
    require_near(logits_of(tmp_path / "w.safetensors")[1], segnet_basic(blobs))


def test_float32_is_kept_and_the_card_says_where_it_is_from(tmp_path: Path) -> None:
    blobs = basic_blobs()
    import_caffe(write_caffemodel(tmp_path / "m.caffemodel", blobs), THREE, tmp_path / "w.safetensors")
    model, card = load_weights(tmp_path / "w.safetensors")
    state = model.state_dict()
    assert np.array_equal(state["encoder.stage2.0.conv.weight"].numpy(), blobs["conv2"][0])
    assert np.array_equal(state["encoder.stage2.0.conv.bias"].numpy(), blobs["conv2"][1])
    assert np.array_equal(state["decoder.stage1.0.norm.weight"].numpy(), blobs["conv_decode1_bn"][0].ravel())
    assert card.label_set == THREE
    assert card.trained_on == "imported from m.caffemodel"


def segnet_logits(blobs: Blobs, classifier: str) -> torch.Tensor:
    names = [entry.split()[0].rstrip("!") for entry in SEGNET_LAYERS.split(",")]
    stages = [[n for n in names[:13] if n.startswith(f"conv{s}")] for s in range(1, 6)]
    decoders = [[n for n in names[13:] if n.startswith(f"conv{s}")] for s in range(5, 0, -1)]
    if classifier == "conv1_1_D":
        return walk(blobs, BGR, stages, decoders, relu=True)
    # the walk ends with conv1_1_D without its ReLU
    features = walk(blobs, BGR, stages, decoders, relu=True).relu()
    weight, bias = (torch.from_numpy(array).double() for array in blobs[classifier])
    return torch.nn.functional.conv2d(features, weight, bias, padding=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label_set", "outputs", "extra", "dropout", "model"),
    [
        (CAMVID_11, 11, False, False, "segnet"),
        (CAMVID_12, 12, False, False, "segnet"),  # the web demo
        (CAMVID_11, 11, True, True, "bayesian-segnet-camvid"),
        (SUN_37, 38, False, True, "bayesian-segnet"),  # void is output 0
    ],
    ids=["camvid", "webdemo", "bayesian_segnet_camvid", "sun"],
)
def test_segnet(
    label_set: LabelSet,
    outputs: int,
    extra: bool,
    dropout: bool,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = segnet_blobs(outputs, extra=extra)
    types = {"pool1": "Pooling"} | ({"encdrop3": "Dropout"} if dropout else {})
    # 118 MB would be written and read again; reading is tested with the smaller model
    monkeypatch.setattr(importing, "read_caffe_file", lambda _: CaffeFile(blobs, types))
    found = import_caffe(tmp_path / "m.caffemodel", label_set, tmp_path / "w.safetensors")
    assert (found.model, found.normalisation) == (model, "raw_bgr")
    assert found.num_classes == label_set.num_classes
    assert found.dropped_void == (outputs == 38)
    name, got = logits_of(tmp_path / "w.safetensors")
    assert name == model
    expected = segnet_logits(blobs, "camvid" if extra else "conv1_1_D")
    require_near(got, expected[:, -label_set.num_classes :])


def test_dropout_and_normalisation_come_from_the_layers_of_the_file(tmp_path: Path) -> None:
    blobs = basic_blobs()
    path = write_caffemodel(tmp_path / "m.caffemodel", blobs)
    others = "".join(f"{name}:{kind} " for name, kind in (("pool1", "Pooling"), ("encdrop3", "Dropout")))
    for entry in others.split():
        name, kind = entry.split(":")
        path.write_bytes(path.read_bytes() + content(100, content(1, name.encode()) + content(2, kind.encode())))
    found = import_caffe(path, THREE, tmp_path / "w.safetensors")
    assert (found.model, found.normalisation) == ("bayesian-segnet-basic", "raw_bgr")  # no LRN in a full list


# ------------------------------------------------------------------------------------------------ prototxt, outputs


def test_a_prototxt_of_the_same_model_is_taken_and_another_is_refused(tmp_path: Path) -> None:
    path, out = write_caffemodel(tmp_path / "m.caffemodel", basic_blobs()), tmp_path / "w.safetensors"
    text = caffe_files(create_model("bayesian-segnet-basic", 3, normalisation="lrn"), "m", (9, 12)).prototxt
    prototxt = tmp_path / "m.prototxt"
    prototxt.write_text("# as trained\n" + text)
    assert import_caffe(path, THREE, out, prototxt=prototxt).model == "bayesian-segnet-basic"
    out.unlink()
    for wrong, words in (
        (text.replace("num_output: 3\n", "num_output: 4\n"), "layer 'conv_classifier' has 4 filters there and 3"),
        (text.replace('name: "conv2"', 'name: "conv2x"'), "has no layer 'conv2x'; did you mean 'conv2'"),
        (text.replace('type: "Convolution"', 'type: "Other"', 1), "it has no convolution 'conv1'"),
    ):
        prototxt.write_text(wrong)
        with pytest.raises(WeightsError, match=re.escape(f"{prototxt} is of another model")) as caught:
            import_caffe(path, THREE, out, prototxt=prototxt)
        assert words in str(caught.value)
    for wrong, words in (
        ("layer { name: ", "is not a prototxt: field name has no value"),
        ('layer { name: "a"', "truncated inside a message"),
        ("}", "closing brace"),
        ('net: "m.prototxt"\nbase_lr: 0.1\n', "has no layers; use the prototxt of the model, not that of the solver"),
    ):
        prototxt.write_text(wrong)
        with pytest.raises(WeightsError, match=words):
            import_caffe(path, THREE, out, prototxt=prototxt)
    with pytest.raises(WeightsError, match="does not exist"):
        import_caffe(path, THREE, out, prototxt=tmp_path / "none.prototxt")
    assert not out.exists()


def test_outputs_of_caffe_are_compared(tmp_path: Path) -> None:
    blobs = basic_blobs()
    path, out, outputs = (
        write_caffemodel(tmp_path / "m.caffemodel", blobs),
        tmp_path / "w.safetensors",
        tmp_path / "o.npz",
    )
    image = np.random.default_rng(3).integers(0, 256, (1, 3, 21, 34), np.uint8)
    squares = torch.from_numpy(image).double().square().sum(1, keepdim=True)
    normed = torch.from_numpy(image).double() / (1 + float(np.float32(1e-4)) / 5 * squares) ** 0.75
    features = walk(
        blobs, normed, [[f"conv{n}"] for n in (1, 2, 3, 4)], [[f"conv_decode{n}"] for n in (4, 3, 2, 1)], relu=False
    )
    weight, bias = (torch.from_numpy(array).double() for array in blobs["conv_classifier"])
    logits = torch.nn.functional.conv2d(features, weight, bias).numpy()
    np.savez(outputs, data_bgr_u8=image, logits=logits)
    assert import_caffe(path, THREE, out, compare=outputs).classes_changed == 0
    np.savez(outputs, data_bgr_u8=image, logits_every_2nd=logits[:, :, ::2, ::2])
    assert import_caffe(path, THREE, out, compare=outputs).classes_changed == 0
    out.unlink()
    np.savez(outputs, data_bgr_u8=image[:, ::-1], logits=logits)  # RGB: a mistake that must show
    with pytest.raises(WeightsError, match=r"of the pixels have another class than in .*, expected at most 0\.05%"):
        import_caffe(path, THREE, out, compare=outputs)
    np.savez(outputs, data_bgr_u8=image, logits=logits[:, :2])
    with pytest.raises(DataError, match=r"'logits' \(1, 3, 21, 34\), got uint8 \(1, 3, 21, 34\) and \(1, 2, 21, 34\)"):
        import_caffe(path, THREE, out, compare=outputs)
    np.savez(outputs, image=image)
    with pytest.raises(DataError, match="expected arrays 'data_bgr_u8' and 'logits', got image"):
        import_caffe(path, THREE, out, compare=outputs)
    outputs.write_text("text")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        import_caffe(path, THREE, out, compare=outputs)
    assert not out.exists()


# ------------------------------------------------------------------------------------------------ bad input


def test_files_that_are_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "m.caffemodel", tmp_path / "w.safetensors"
    whole = write_caffemodel(path, basic_blobs()).read_bytes()
    solver_state = integer(1, 30000) + content(2, b"m.caffemodel") + content(3, b"")
    no_layout = write_caffemodel(tmp_path / "x", {"fc8": [np.ones((2, 3), np.float32)]}).read_bytes()
    for written, words in (
        (whole[:-100], "is not a complete caffemodel: .*truncated.*; download it again"),
        (solver_state, r"is a solver state, not a model; use the \.caffemodel of the same iteration"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b'name: "m"\nlayer {\n}\n', "is a prototxt, which has no weights"),
        (no_layout, r"unknown layout: expected the layers of SegNet .*, got fc8"),
        (layer("data", []), "no layer has arrays"),
    ):
        path.write_bytes(written)
        with pytest.raises(WeightsError, match=words) as caught:
            import_caffe(path, THREE, out)
        assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match=r"has 3 classes, the label set camvid-11 has 11; use the label set"):
        import_caffe(path, CAMVID_11, out)
    assert not out.exists()


def test_label_sets(tmp_path: Path) -> None:
    assert find_label_set("camvid11") == CAMVID_11
    assert find_label_set("camvid12").names[3] == "road marking"
    assert find_label_set("sun37") == SUN_37
    file = tmp_path / "labels.toml"
    classes = "".join(f'[[class]]\nname = "{name}"\ncolour = [{i}, 0, 0]\n' for i, name in enumerate("ab", 1))
    file.write_text(f'name = "two"\nlabels = "ids"\n{classes}')
    assert find_label_set(str(file)).names == ("a", "b")
    with pytest.raises(WeightsError, match=r"unknown label set 'camvid'; .*or pass a labels.toml file"):
        find_label_set("camvid")
    file.write_text("nothing = 1")
    with pytest.raises((LabelError, DataError)):
        find_label_set(str(file))


def test_the_command(tmp_path: Path) -> None:
    path = write_caffemodel(tmp_path / "m.caffemodel", basic_blobs(11))
    out = tmp_path / "w.safetensors"
    result = CliRunner().invoke(app, ["import-caffe", str(path), "--label-set", "camvid11", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert load_weights(out)[1].label_set == CAMVID_11


def test_reading_a_caffemodel_as_weights_names_the_command(tmp_path: Path) -> None:
    path = write_caffemodel(tmp_path / "m.caffemodel", {"a": [np.ones((2, 3), np.float32)]})
    with pytest.raises(WeightsError, match=f"segnet import-caffe {re.escape(str(path))} --label-set camvid11 --out m"):
        load_weights(path)
