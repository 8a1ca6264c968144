"""VGG16 in each layout: in eval mode our encoder computes what the checkpoint's own model computes."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segnet.errors import WeightsError
from segnet.io.download import download
from segnet.models.segnet import SegNet, SegNetBasic
from segnet.models.vgg import VGG16_STAGES
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import create_normalisation
from segnet.weights.vgg16 import VGG16_FILES, find_vgg16, load_vgg16

Checkpoint = dict[str, Tensor]

CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's numbers, written down here
CONVOLUTIONS_BN = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]


@pytest.fixture(scope="module")
def model() -> SegNet:
    """One model for all tests: drawing it takes longer than filling it."""
    return SegNet(2, normalisation="mean_std").eval()


def drawn(prefixes: list[str], norms: list[str] | None = None) -> Checkpoint:
    """He-drawn filters with biases, and where asked BN parameters and statistics far from the identity."""
    generator = torch.Generator().manual_seed(3)
    tensors, channels = {}, 3
    for number, width in enumerate(w for widths in VGG16_STAGES for w in widths):
        noise = torch.randn(width, channels, 3, 3, generator=generator)
        tensors[f"{prefixes[number]}.weight"] = noise * (2 / (9 * channels)) ** 0.5
        tensors[f"{prefixes[number]}.bias"] = 0.3 * torch.randn(width, generator=generator)
        if norms is not None:
            for part, scale, shift in (("weight", 0.2, 1), ("bias", 0.2, 0), ("running_mean", 0.2, 0)):
                tensors[f"{norms[number]}.{part}"] = scale * torch.randn(width, generator=generator) + shift
            tensors[f"{norms[number]}.running_var"] = 0.5 + torch.rand(width, generator=generator)
            tensors[f"{norms[number]}.num_batches_tracked"] = torch.tensor(7)
        channels = width
    return tensors


def features(positions: list[int]) -> list[str]:
    return [f"features.{p}" for p in positions]


def plain_walk(image: Tensor, tensors: Checkpoint, prefixes: list[str], norms: list[str] | None = None) -> Tensor:
    """VGG16 written out with functions only, in the type of `image`."""
    number = 0
    for widths in VGG16_STAGES:
        for _ in widths:
            weight, bias = (tensors[f"{prefixes[number]}.{part}"].to(image.dtype) for part in ("weight", "bias"))
            image = F.conv2d(image, weight, bias, padding=1)
            if norms is not None:
                parts = ("running_mean", "running_var", "weight", "bias")
                image = F.batch_norm(image, *(tensors[f"{norms[number]}.{p}"].to(image.dtype) for p in parts))
            image = F.relu(image)
            number += 1
        image = F.max_pool2d(image, 2, 2, ceil_mode=True)
    return image


def agree(model: SegNet, tensors: Checkpoint, prefixes: list[str], norms: list[str] | None, image: Tensor) -> None:
    """In float64 the only difference is the float32 rounding of what was folded: some 1e-7, over 13 layers."""
    with torch.inference_mode():
        got, _ = copy.deepcopy(model.encoder).double()(image)
        expected = plain_walk(image, tensors, prefixes, norms)
    assert expected.abs().mean() > 0.01
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


IMAGE = torch.randn(1, 3, 32, 33, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vgg16_without_bn(model: SegNet, tmp_path: Path, suffix: str) -> None:
    prefixes, path = features(CONVOLUTIONS), tmp_path / f"vgg16{suffix}"
    tensors = drawn(prefixes) | {"classifier.0.weight": torch.zeros(2, 2)}
    torch.save(tensors, path) if suffix == ".pth" else save_file(tensors, path)
    load_vgg16(model, path)
    agree(model, tensors, prefixes, None, IMAGE)


@pytest.mark.parametrize("nested", [False, True])
def test_vgg16_with_bn(model: SegNet, tmp_path: Path, nested: bool) -> None:
    prefixes, norms = features(CONVOLUTIONS_BN), features([n + 1 for n in CONVOLUTIONS_BN])
    tensors, path = drawn(prefixes, norms), tmp_path / "vgg16_bn.pth"
    torch.save({"state_dict": tensors} if nested else tensors, path)
    load_vgg16(model, path)
    agree(model, tensors, prefixes, norms, IMAGE)


def test_our_numbers_are_those_of_the_model_as_torchvision_builds_it(model: SegNet, tmp_path: Path) -> None:
    """Build `features` the way torchvision's make_layers does, and compare with its own forward."""
    for norm in (False, True):
        layers: list[nn.Module] = []
        channels = 3
        for widths in VGG16_STAGES:
            for width in widths:
                layers.append(nn.Conv2d(channels, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width), nn.ReLU()] if norm else [nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        vgg = nn.Sequential()
        vgg.features = nn.Sequential(*layers)
        vgg.eval().double()
        torch.save({name: t.float() for name, t in vgg.state_dict().items()}, tmp_path / "vgg.pth")
        load_vgg16(model, tmp_path / "vgg.pth")
        image = IMAGE[:, :, :32, :32]
        with torch.inference_mode():
            got, expected = copy.deepcopy(model.encoder).double()(image)[0], vgg(image)
        assert expected.abs().max() > 1e-4
        assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()  # float32 rounding of the folded bias


@pytest.mark.data
def test_the_oxford_weights(model: SegNet, shared_data: Path) -> None:
    path = shared_data / VGG16_FILES["oxford"].file
    tensors = load_file(path)
    model = copy.deepcopy(model)
    model.normalisation = create_normalisation("caffe_bgr")
    load_vgg16(model, path)
    first = model.encoder.get_submodule("stage1.0")
    assert torch.equal(first.conv.weight, tensors["conv1_1.weight"].float())  # type: ignore[union-attr]
    assert torch.equal(first.norm.bias, tensors["conv1_1.bias"].float())  # type: ignore[union-attr]
    last = model.encoder.get_submodule("stage5.2")
    assert torch.equal(last.conv.weight, tensors["conv5_3.weight"].float())  # type: ignore[union-attr]
    prefixes = [f"conv{s}_{i}" for s, widths in enumerate(VGG16_STAGES, 1) for i in range(1, len(widths) + 1)]
    image = torch.rand(1, 3, 19, 33, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    agree(model, tensors, prefixes, None, model.normalisation.double()(image))


def test_the_rest_of_the_model_is_untouched(model: SegNet, tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pth"
    torch.save(drawn(features(CONVOLUTIONS)), path)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    load_vgg16(model, path)
    changed = {name.split(".")[0] for name, t in model.state_dict().items() if not torch.equal(t, before[name])}
    assert changed == {"encoder"}


@pytest.mark.parametrize("channels", [1, 6])
def test_the_first_layer_is_carried_over_to_other_channels(tmp_path: Path, channels: int) -> None:
    tensors = drawn(features(CONVOLUTIONS))
    save_file(tensors, tmp_path / "vgg16.safetensors")
    other = SegNet(2, in_channels=channels, normalisation="mean_std").eval()
    load_vgg16(other, tmp_path / "vgg16.safetensors")
    units = [u for u in other.encoder.modules() if isinstance(u, ConvBN)]
    first = tensors["features.0.weight"]
    expected = first.sum(1, keepdim=True) if channels == 1 else first.repeat(1, 2, 1, 1) / 2
    torch.testing.assert_close(units[0].conv.weight.detach(), expected)
    assert torch.equal(units[1].conv.weight, tensors["features.2.weight"])
    with pytest.raises(WeightsError, match="need the input normalisation 'mean_std', the model has 'lcn'"):
        load_vgg16(SegNet(2, in_channels=channels, normalisation="lcn"), tmp_path / "vgg16.safetensors")


def test_another_input_normalisation_is_refused_and_nothing_changes(model: SegNet, tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pth"
    torch.save(drawn(features(CONVOLUTIONS)), path)
    model = copy.deepcopy(model)
    model.normalisation = create_normalisation("raw_bgr")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(
        WeightsError, match=r"'mean_std', the model has 'raw_bgr'; set model.normalisation to 'mean_std'"
    ):
        load_vgg16(model, path)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_a_tensor_of_another_shape_is_named_and_nothing_changes(model: SegNet, tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pth"
    tensors = drawn(features(CONVOLUTIONS))
    tensors["features.28.weight"] = torch.zeros(512, 512, 1, 1)
    torch.save(tensors, path)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"features.28.weight: expected shape \(512, 512, 3, 3\), got \(5"):
        load_vgg16(model, path)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_another_model_has_no_vgg16_encoder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="SegNetBasic has no VGG16 encoder"):
        load_vgg16(SegNetBasic(2), tmp_path / "vgg16.pth")


class Code:
    """What a hostile pickle would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this pickle ran code",)


def test_broken_and_hostile_files_are_one_clear_line(
    model: SegNet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "vgg16.pth"
    with pytest.raises(WeightsError, match="no VGG16 weights at"):
        load_vgg16(model, path)
    torch.save({"features.0.weight": Code()}, path)
    with pytest.raises(WeightsError, match="holds more than tensors") as caught:
        load_vgg16(model, path)
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""
    torch.save({"features.0.weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"vgg16.pth is (not a whole|a broken)") as caught:
        load_vgg16(model, path)
    assert "\n" not in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"vgg16.pth is (not a whole|a broken)"):
        load_vgg16(model, path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="expected a state_dict, a mapping of names to tensors, got list"):
        load_vgg16(model, path)
    torch.save({"layer1.0.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"holds no VGG16.*got layer1.0.weight"):
        load_vgg16(model, path)
    whole = tmp_path / "vgg16.safetensors"
    whole.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        load_vgg16(model, whole)


def test_find_by_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.pth"
    own.touch()
    assert find_vgg16(str(own)) == own
    with pytest.raises(WeightsError, match="did you mean 'torchvision'"):
        find_vgg16("torchvison")
    cache = tmp_path / "cache"
    with pytest.raises(WeightsError, match=rf"put vgg16_conv_imagenet_bgr_fp16.safetensors into {cache}, or give its"):
        find_vgg16("oxford", cache)
    asked = []

    def fetch(url: str, path: Path, sha256: str) -> None:
        asked.append((url, sha256))
        path.parent.mkdir()
        path.touch()

    monkeypatch.setattr("segnet.weights.vgg16.download", fetch)
    for _ in range(2):
        assert find_vgg16("torchvision-bn", cache) == cache / "vgg16_bn-6c64b313.pth"
    assert asked == [("https://download.pytorch.org/models/vgg16_bn-6c64b313.pth", "6c64b313")]


def test_download_errors_reach_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(_: str, path: Path, sha256: str) -> None:
        download((tmp_path / "missing").as_uri(), path, sha256)

    monkeypatch.setattr("segnet.weights.vgg16.download", offline)
    with pytest.raises(WeightsError, match=r"put the file by hand at .*cache/vgg16-397923af.pth"):
        find_vgg16("torchvision", tmp_path / "cache")
