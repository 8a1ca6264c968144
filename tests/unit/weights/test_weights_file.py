"""Weights files: what is saved comes back, and every file that does not fit is refused in one line."""

import errno
import hashlib
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from segnet.data.reading.bands import ImageReading
from segnet.errors import DataError, WeightsError
from segnet.labels import CAMVID_11, VOC_21, LabelSet
from segnet.models import create_model
from segnet.nn.normalisation import ChannelStatistics
from segnet.runtime.quantised import is_quantised, read_quantised
from segnet.weights import finding
from segnet.weights.file import (
    WEIGHTS,
    WeightsCard,
    find_weights,
    load_matching,
    load_weights,
    read_card,
    save_weights,
)
from segnet.weights.named import NamedWeights

CARD = WeightsCard(
    "segnet-basic",
    CAMVID_11,
    recipe='[model]\nname = "segnet-basic"\n',
    scores={"mean_iou": 0.625, "boundary_f1": math.nan},
    class_iou={"sky": 0.9, "pole": math.nan},
    trained_on="CamVid train",
    licence="CC BY-NC 4.0",
    version="0.1.0",
)


def drawn_model(num_classes: int = 11, name: str = "segnet-basic", seed: int = 1) -> nn.Module:
    """A model whose every tensor differs from a fresh one's, BN statistics included."""
    torch.manual_seed(seed)
    model = create_model(name, num_classes)
    for tensor in model.state_dict().values():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
        elif tensor.dim() == 0:
            tensor.fill_(1234)
    return model


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    model, path = drawn_model(), tmp_path / "runs" / "best.safetensors"
    save_weights(path, model, CARD)
    back, card = load_weights(path)
    assert not back.training
    expected, got = model.state_dict(), back.state_dict()
    assert list(got) == list(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.float32)
        kept = tensor.half().float() if tensor.dim() > 1 else tensor  # filters are rounded to float16, nothing else
        assert torch.equal(got[name], kept), name
    assert card == WeightsCard(
        "segnet-basic",
        CAMVID_11,
        "lcn",
        CARD.recipe,
        {"mean_iou": 0.625},  # not measured: left out
        {"sky": 0.9},
        "CamVid train",
        "CC BY-NC 4.0",
        "0.1.0",
    )
    assert read_card(path) == card
    assert path.stat().st_size < 2.9e6  # SegNet-Basic's 1.4 million filters at 2 bytes


def test_types_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    types = {name: tensor.dtype for name, tensor in load_file(path).items()}
    assert types["encoder.stage1.0.conv.weight"] == torch.float16
    assert types["encoder.stage1.0.norm.running_var"] == torch.float32
    assert types["encoder.stage1.0.norm.num_batches_tracked"] == torch.int64
    save_weights(path, drawn_model(), CARD, torch.float32)
    back, _ = load_weights(path)
    assert torch.equal(back.classifier.weight, drawn_model().classifier.weight)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_weights(tmp_path / f"{name}.safetensors", drawn_model(), CARD)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_variance_beyond_float16_survives(tmp_path: Path) -> None:
    model, path = drawn_model(), tmp_path / "w.safetensors"
    model.get_submodule("encoder.stage1.0.norm").running_var.fill_(3e6)  # type: ignore[union-attr]
    save_weights(path, model, CARD)
    back, _ = load_weights(path)
    assert back.get_submodule("encoder.stage1.0.norm").running_var[0] == 3e6  # type: ignore[index,union-attr]


@pytest.mark.parametrize("value", [1e6, math.nan])
def test_filters_that_are_not_finite_are_not_written(tmp_path: Path, value: float) -> None:
    model, path = drawn_model(), tmp_path / "w.safetensors"
    with torch.no_grad():
        model.classifier.weight[0, 0] = value  # type: ignore[operator,union-attr]
    with pytest.raises(WeightsError, match=r"w.safetensors not written: classifier.weight is not finite in float16"):
        save_weights(path, model, CARD)
    assert not path.exists()


@pytest.mark.parametrize("name", ["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"])
def test_the_card_says_the_models_own_normalisation(tmp_path: Path, name: str) -> None:
    model = create_model("segnet-basic", 11, normalisation=name)  # type: ignore[arg-type]
    save_weights(tmp_path / "w.safetensors", model, CARD)
    back, card = load_weights(tmp_path / "w.safetensors")
    assert card.normalisation == name
    assert type(back.normalisation) is type(model.normalisation)


def test_loading_leaves_the_random_generator_alone(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", drawn_model(), CARD)
    before = torch.get_rng_state()
    load_weights(tmp_path / "w.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["mean_std", "caffe_bgr", "lrn", "lcn"])
def test_what_is_loaded_can_be_trained_on_and_owns_its_numbers(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    model = create_model("segnet-basic", 11, normalisation=name)  # type: ignore[arg-type]
    save_weights(path, model, CARD)
    loaded, _ = load_weights(path)
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    image = torch.rand(1, 3, 9, 12)
    assert torch.equal(loaded.get_submodule("normalisation")(image), model.get_submodule("normalisation")(image))
    stored = path.read_bytes()
    with torch.no_grad():
        for tensor in loaded.state_dict().values():
            tensor.zero_()
    assert path.read_bytes() == stored


def test_a_full_disk_keeps_the_older_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        save_weights(path, drawn_model(seed=2), CARD)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_saving_refuses_what_could_not_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"saved as .safetensors"):
        save_weights(tmp_path / "w.pth", drawn_model(), CARD)
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="weights for 7 classes, but the label set camvid-11 has 11"):
        save_weights(path, drawn_model(7), CARD)
    with pytest.raises(WeightsError, match="unknown model 'segnet-basik'; did you mean 'segnet-basic'"):
        save_weights(path, drawn_model(), WeightsCard("segnet-basik", CAMVID_11))
    with pytest.raises(WeightsError, match="does not fit 'segnet'"):
        save_weights(path, drawn_model(), WeightsCard("segnet", CAMVID_11))
    assert list(tmp_path.iterdir()) == []


def rewritten(path: Path, change: dict[str, torch.Tensor | None], card: str | None = None) -> Path:
    """A copy of a weights file with some tensors replaced or left out, and perhaps another card."""
    tensors = load_file(path)
    for name, tensor in change.items():
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["segnet"] if card is None else card
    other = path.with_name("other.safetensors")
    save_file(tensors, other, {"segnet": text})
    return other


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    other = rewritten(path, {"classifier.bias": None})
    with pytest.raises(WeightsError, match=r"classifier.bias: expected \(11,\), got none") as caught:
        load_weights(other)
    assert str(other) in one_line(caught.value)
    with pytest.raises(WeightsError, match=r"stray: expected no such tensor, got \(2,\)"):
        load_weights(rewritten(path, {"stray": torch.zeros(2)}))
    with pytest.raises(
        WeightsError, match=r"decoder.stage1.0.conv.weight: expected \(64, 64, 7, 7\), got \(64, 64, 3, 3\)"
    ):
        load_weights(rewritten(path, {"decoder.stage1.0.conv.weight": torch.zeros(64, 64, 3, 3)}))
    twelve = {"classifier.weight": torch.zeros(12, 64, 1, 1), "classifier.bias": torch.zeros(12)}
    with pytest.raises(WeightsError, match="weights for 12 classes, but the label set camvid-11 has 11"):
        load_weights(rewritten(path, twelve))


def test_cards_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    with pytest.raises(WeightsError, match=r"other.safetensors: weights card: model: Field required") as caught:
        load_weights(rewritten(path, {}, '{"label_set": {"name": "a", "names": ["b"], "colours": [[1, 2, 3]]}}'))
    one_line(caught.value)
    with pytest.raises(WeightsError, match="weights card: Invalid JSON"):
        load_weights(rewritten(path, {}, "{"))
    with pytest.raises(WeightsError, match=r"weights card: label_set: .*expected 1 to 255 classes, got 0"):
        load_weights(rewritten(path, {}, '{"model": "x", "label_set": {"name": "a", "names": [], "colours": []}}'))
    unknown = WeightsCard("segnet-3", CAMVID_11).to_json()
    with pytest.raises(WeightsError, match="unknown model 'segnet-3'; did you mean 'segnet'"):
        load_weights(rewritten(path, {}, unknown))
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, bare)
    with pytest.raises(WeightsError, match="has no card"):
        load_weights(bare)


def test_broken_files_and_pickles_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:100], whole[:4], b"", b"\xff" * 200):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"w.safetensors is not a whole safetensors file") as caught:
            load_weights(path)
        one_line(caught.value)
    for suffix in (".pth", ".pt", ".pkl"):
        pickle = tmp_path / f"w{suffix}"
        torch.save({"a": torch.zeros(1)}, pickle)
        with pytest.raises(
            WeightsError, match="is a pickle, which can run code, and is not opened; safetensors expected"
        ):
            load_weights(pickle)
    torch.save({"a": torch.zeros(1)}, path)  # a pickle under another name
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        load_weights(path)


def test_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_PACKAGE", tmp_path / "package")
    monkeypatch.chdir(tmp_path)  # whose folder `weights` is searched
    cache = tmp_path / "cache"
    with pytest.raises(
        WeightsError,
        match=rf"no segnet-camvid.safetensors in .*package, {tmp_path}/weights, {cache}; it is in the folder "
        rf"weights/ of a checkout.*put the file into one of these folders; its sha256 is 7b43f25c13dd",
    ):
        find_weights("segnet-camvid", cache)
    monkeypatch.setitem(WEIGHTS, "segnet-camvid", NamedWeights("segnet-camvid.safetensors"))
    for folder in ("cache", "weights", "package"):  # each comes before the one that was there
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "segnet-camvid.safetensors"
        file.write_bytes(b"weights")
        assert find_weights("segnet-camvid", cache).resolve() == file
        assert find_weights(file) == find_weights(str(file)) == file
    with pytest.raises(WeightsError, match="unknown weights 'segnet-camvit'; did you mean 'segnet-camvid'"):
        find_weights("segnet-camvit")
    with pytest.raises(WeightsError, match=r"no weights file at runs/x.safetensors"):
        find_weights("runs/x.safetensors")
    with pytest.raises(WeightsError, match=r"is a folder without model.safetensors; give the .safetensors file in it"):
        find_weights(tmp_path)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(WEIGHTS, "hashed", NamedWeights("segnet-camvid.safetensors", sha256))
    assert find_weights("hashed") == file
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match=f"is not 'hashed': sha256 .*expected {sha256[:16]}"):
        find_weights("hashed")


def test_a_published_file_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(WEIGHTS, "published", NamedWeights("p.safetensors", sha256, source.as_uri()))
    assert find_weights("published", tmp_path / "cache") == tmp_path / "cache" / "p.safetensors"
    source.unlink()
    assert find_weights("published", tmp_path / "cache").read_bytes() == b"weights"


def test_weights_that_are_here_can_be_loaded_and_say_their_scores() -> None:
    loaded = 0
    for name in WEIGHTS:
        try:
            path = find_weights(name)
            card = read_quantised(path)[1].weights if is_quantised(path) else read_card(path)
        except WeightsError as missing:
            assert "are not installed" in str(missing)
            continue
        assert (
            card.model in name.replace("lean-", "") and card.label_set == CAMVID_11 and 0 < card.scores["mean_iou"] < 1
        )
        loaded += 1
    assert loaded <= len(WEIGHTS) == 5


def test_fine_tuning_takes_all_but_the_classifier(tmp_path: Path) -> None:
    old, new, path = drawn_model(), drawn_model(21, seed=2), tmp_path / "w.safetensors"
    save_weights(path, old, CARD, torch.float32)
    classifier = new.classifier.weight.clone()  # type: ignore[operator,union-attr]
    assert load_matching(new, path) == ["classifier.weight", "classifier.bias"]
    for name, tensor in new.state_dict().items():
        assert torch.equal(tensor, classifier if name == "classifier.weight" else tensor)
        if not name.startswith("classifier"):
            assert torch.equal(tensor, old.state_dict()[name]), name
    assert torch.equal(new.classifier.weight, classifier)  # type: ignore[arg-type]
    assert load_matching(drawn_model(seed=3), path) == []


def test_fine_tuning_refuses_what_cannot_help(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, drawn_model(), CARD)
    with pytest.raises(WeightsError, match="no filter fits SegNet by name and shape"):
        load_matching(create_model("segnet", 11, normalisation="lcn"), path)
    with pytest.raises(WeightsError, match=r"normalisation 'lcn', the model has 'lrn'; set .* to 'lcn'"):
        load_matching(create_model("segnet-basic", 11, normalisation="lrn"), path)
    with pytest.raises(WeightsError, match="no weights file"):
        load_matching(drawn_model(), tmp_path / "missing.safetensors")
    bare = tmp_path / "bare.safetensors"
    save_file({"classifier.weight": torch.full((11, 64, 1, 1), 2.0)}, bare)
    model = drawn_model()
    assert "classifier.weight" not in load_matching(model, bare)
    assert bool((model.classifier.weight == 2).all())  # type: ignore[operator,union-attr]


def test_any_label_set_travels_in_the_card() -> None:
    for label_set in (VOC_21, LabelSet("own", ("é", "b"), ((0, 0, 1), (255, 255, 255)))):
        assert WeightsCard.from_json(WeightsCard("segnet", label_set).to_json()).label_set == label_set


def test_a_classifier_that_is_a_transposed_convolution(tmp_path: Path) -> None:
    """ENet's last filter has its K classes on the second axis."""
    model = create_model("enet", 11)
    save_weights(tmp_path / "enet.safetensors", model, WeightsCard(model="enet", label_set=CAMVID_11))
    loaded, card = load_weights(tmp_path / "enet.safetensors")
    assert card.model == "enet"
    assert torch.equal(loaded.classifier.weight, model.classifier.weight.half().float())  # type: ignore[union-attr,operator]


# ------------------------------------------------------------------------------------------------ other channels


STATISTICS = ChannelStatistics((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.3, 0.3, 0.3, 0.2, 0.2, 0.2))


def six_channels(num_classes: int = 11) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return create_model("segnet-basic", num_classes, 6, statistics=STATISTICS)


def test_channels_and_their_statistics_are_saved_and_loaded(tmp_path: Path) -> None:
    path, model = tmp_path / "six.safetensors", six_channels()
    save_weights(path, model, replace(CARD, bands=(4, 3, 2, 8, 11, 12)))
    back, card = load_weights(path)
    assert (card.in_channels, card.bands, card.normalisation) == (6, (4, 3, 2, 8, 11, 12), "mean_std")
    assert card.statistics is not None
    assert card.statistics.mean == pytest.approx(STATISTICS.mean)  # float32
    assert torch.equal(back.normalisation.mean, model.normalisation.mean)  # not rounded to float16
    image = torch.rand(1, 6, 9, 11)
    with torch.no_grad():
        assert torch.equal(back.normalisation(image), model.normalisation(image))
        assert back(image).shape == (1, 11, 9, 11)


def test_a_card_without_channels_is_rgb(tmp_path: Path) -> None:
    record = json.loads(CARD.to_json())
    for name in ("in_channels", "statistics", "bands", "value_range"):
        del record[name]
    card = WeightsCard.from_json(json.dumps(record))
    assert card.reading == ImageReading()
    six = WeightsCard("segnet", CAMVID_11, in_channels=6)
    assert six.reading == ImageReading(bands=(1, 2, 3, 4, 5, 6))
    assert (card.in_channels, card.statistics, card.bands) == (3, None, ())


def test_other_channels_are_refused_unless_the_first_layer_is_carried_over(tmp_path: Path) -> None:
    path, model = tmp_path / "rgb.safetensors", six_channels()
    rgb = create_model("segnet-basic", 11, normalisation="caffe_bgr")
    save_weights(path, rgb, CARD, torch.float32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"weights for 3 channels, the model has 6; .*carry_first_layer=True"):
        load_matching(model, path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert load_matching(model, path, carry_first_layer=True) == ["normalisation.mean", "normalisation.std"]
    first = "encoder.stage1.0.conv.weight"
    state, old = model.state_dict(), rgb.state_dict()
    # BGR filters of 0..255, for RGB of deviation 1: flipped, times 255 times ImageNet's deviation; half for twice C
    expected = old[first].flip(1) * 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) / 2
    torch.testing.assert_close(state[first][:, :3], expected)
    assert torch.equal(state[first][:, 3:], state[first][:, :3])
    assert torch.equal(state["encoder.stage2.0.conv.weight"], old["encoder.stage2.0.conv.weight"])
    assert torch.equal(state["normalisation.mean"], before["normalisation.mean"])


def test_filters_of_lcn_are_not_carried_to_other_statistics(tmp_path: Path) -> None:
    save_weights(tmp_path / "lcn.safetensors", create_model("segnet-basic", 11), CARD)
    with pytest.raises(WeightsError, match="'lcn' cannot be carried over to 'mean_std'"):
        load_matching(six_channels(), tmp_path / "lcn.safetensors", carry_first_layer=True)
