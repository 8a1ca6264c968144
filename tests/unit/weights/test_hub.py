"""`hf://` against a server that speaks the hub's protocol: cache, revisions, offline, and every refusal."""

import hashlib
import logging
from pathlib import Path

import pytest
import torch
from hub_server import Hub
from torch import nn

import segnet
from segnet.errors import ConfigError, WeightsError
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights import finding, named
from segnet.weights import hub as module
from segnet.weights.file import WeightsCard, find_weights, load_weights, save_weights
from segnet.weights.hub import fetch_from_hub
from segnet.weights.named import NamedWeights
from segnet.weights.vgg16 import find_vgg16

CARD = WeightsCard("fcn-basic", CAMVID_11, licence="MIT")


def model_of(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return create_model("fcn-basic", 11)


def weights_bytes(folder: Path, seed: int = 0) -> bytes:
    save_weights(folder / f"{seed}.safetensors", model_of(seed), CARD)
    return (folder / f"{seed}.safetensors").read_bytes()


def restarted() -> None:
    """As in a new process, which remembers nothing."""
    fetch_from_hub.cache_clear()


def test_weights_are_fetched_once_and_load(hub: Hub, tmp_path: Path) -> None:
    data = weights_bytes(tmp_path)
    hub.add("me/street", {"model.safetensors": data, "README.md": b"", "other.safetensors": b"no"})
    model, card = load_weights("hf://me/street")
    assert card.licence == "MIT"
    assert torch.equal(
        model.state_dict()["classifier.weight"], model_of(0).state_dict()["classifier.weight"].half().float()
    )
    assert find_weights("hf://me/street").read_bytes() == data
    restarted()
    assert find_weights("hf://me/street/model.safetensors").read_bytes() == data
    assert len(hub.requests("GET", "/resolve/")) == 1


def test_a_new_commit_is_fetched_and_a_revision_stays(hub: Hub, tmp_path: Path) -> None:
    old, new = weights_bytes(tmp_path, 0), weights_bytes(tmp_path, 1)
    first = hub.add("me/street", {"w.safetensors": old})
    hub.add("me/street", {"w.safetensors": old}, "v1.0")
    assert find_weights("hf://me/street").read_bytes() == old
    hub.add("me/street", {"w.safetensors": new})
    assert find_weights("hf://me/street").read_bytes() == old  # one process stays with what it got
    restarted()
    assert find_weights("hf://me/street").read_bytes() == new
    assert find_weights("hf://me/street@v1.0").read_bytes() == old
    assert find_weights(f"hf://me/street@{first}/w.safetensors").read_bytes() == old


def test_a_hub_that_is_down_leaves_the_cached_copy_and_says_so(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = weights_bytes(tmp_path)
    commit = hub.add("me/street", {"w.safetensors": data})
    find_weights("hf://me/street")
    restarted()
    hub.down = True
    with caplog.at_level(logging.WARNING):
        assert find_weights("hf://me/street").read_bytes() == data
    assert f"the cached copy is used, revision {commit[:12]}" in caplog.text
    assert "503" in caplog.text
    with pytest.raises(WeightsError, match="hf://me/street@v9: the hub is not reached and no copy is cached"):
        find_weights("hf://me/street@v9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 sets it
    hub.log.clear()
    restarted()
    assert find_weights("hf://me/street").read_bytes() == data
    with pytest.raises(WeightsError, match="no copy is cached"):
        find_weights("hf://me/other")
    assert hub.log == []


def test_a_refused_connection_is_a_hub_that_is_not_reached(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"the hub is not reached and no copy is cached .*HF_ENDPOINT"):
        find_weights("hf://me/street")


def test_a_repository_with_a_pickle_is_refused_unless_the_safetensors_are_named(hub: Hub, tmp_path: Path) -> None:
    data = weights_bytes(tmp_path)
    hub.add("me/both", {"pytorch_model.bin": b"code", "model.safetensors": data})
    with pytest.raises(WeightsError, match=r"holds a pickle \(pytorch_model.bin\).*hf://me/both/model.safetensors"):
        find_weights("hf://me/both")
    assert hub.requests("GET", "/resolve/") == []
    assert find_weights("hf://me/both/model.safetensors").read_bytes() == data
    hub.add("me/pickle", {"best.pth": b"code"})
    with pytest.raises(WeightsError, match=r"holds a pickle \(best.pth\), which can run code; expected safetensors"):
        find_weights("hf://me/pickle")


def test_what_cannot_be_had_is_said(hub: Hub) -> None:
    hub.add("me/two", {"a.safetensors": b"", "b.safetensors": b""})
    hub.add("me/none", {"README.md": b""})
    hub.add("me/gated", {"a.safetensors": b""})
    hub.gated.add("me/gated")
    for address, message in {
        "hf://me/two": "expected model.safetensors or one .safetensors file, got a.safetensors, b.safetensors; name",
        "hf://me/none": "got none",
        "hf://me/two/c.safetensors": "no such file; the safetensors files there are: a.safetensors, b.safetensors",
        "hf://me/two@v7": "the repository has no revision 'v7'",
        "hf://me/nothing": "no such repository, or a private one; check the name, or hf auth login",
        "hf://me/gated": f"gives access on request; ask at {hub.address}/me/gated",
    }.items():
        with pytest.raises(WeightsError, match=message) as caught:
            find_weights(address)
        assert "\n" not in str(caught.value)


def test_a_transfer_that_breaks_off_goes_on(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # what is kept are whole chunks
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    data = weights_bytes(tmp_path)
    hub.add("me/street", {"w.safetensors": data})
    hub.failures = 1
    assert find_weights("hf://me/street").read_bytes() == data
    assert any("from" in line for line in hub.requests("GET", "/resolve/"))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'segnet\[hub\]'"):
        fetch_from_hub.__wrapped__(module.HubAddress("me/street"))


def test_vgg16_and_create_model_start_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    data = weights_bytes(tmp_path)
    hub.add("me/street", {"w.safetensors": data})
    assert find_vgg16("hf://me/street").read_bytes() == data
    model = segnet.create_model("fcn-basic", 11, weights="hf://me/street")
    expected = model_of(0).state_dict()
    assert torch.equal(model.state_dict()["classifier.weight"], expected["classifier.weight"].half().float())


# ------------------------------------------------------------------------------------------------- plain web servers


def test_a_web_address_is_checked_and_kept(hub: Hub, tmp_path: Path) -> None:
    data = weights_bytes(tmp_path)
    sha256 = hashlib.sha256(data).hexdigest()
    hub.uploaded["w.safetensors"] = data
    address = f"{hub.address}/plain/w.safetensors#sha256={sha256}"
    path = find_weights(address, tmp_path / "cache")
    assert path == tmp_path / "cache" / "web" / f"{sha256[:16]}-w.safetensors"
    assert path.read_bytes() == data
    assert find_weights(address, tmp_path / "cache") == path
    assert len(hub.log) == 1
    path.write_bytes(b"damaged")
    assert find_weights(address, tmp_path / "cache").read_bytes() == data  # fetched again
    wrong = address.replace(sha256, "0" * 64)
    with pytest.raises(WeightsError, match=rf"sha256 {sha256[:16]}..., expected 0000000000000000"):
        find_weights(wrong, tmp_path / "cache")


def test_a_name_with_a_place_on_the_hub_or_the_web(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_PACKAGE", tmp_path / "package")
    monkeypatch.chdir(tmp_path)
    data = weights_bytes(tmp_path)
    sha256 = hashlib.sha256(data).hexdigest()
    hub.add("me/street", {"w.safetensors": data})
    monkeypatch.setitem(named.WEIGHTS, "there", NamedWeights("t.safetensors", sha256, "hf://me/street/w.safetensors"))
    assert find_weights("there", tmp_path / "cache").read_bytes() == data
    monkeypatch.setitem(named.WEIGHTS, "wrong", NamedWeights("t.safetensors", "0" * 64, "hf://me/street"))
    with pytest.raises(WeightsError, match=f"is not 'wrong': sha256 {sha256[:16]}"):
        find_weights("wrong", tmp_path / "cache")
