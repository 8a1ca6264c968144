"""Folders as the hub has them, and pushing: what is pushed is what comes back."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from hub_server import Hub
from PIL import Image

import segnet
from segnet.errors import WeightsError
from segnet.io.files import sha256_of
from segnet.labels import CAMVID_11, LabelSet
from segnet.models import create_model
from segnet.weights.file import WEIGHTS, WeightsCard, find_weights, load_weights, read_card
from segnet.weights.pretrained import from_pretrained, push, save_pretrained

LFS = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own, of its uploads
CARD = WeightsCard(
    "fcn-basic",
    CAMVID_11,
    recipe="[train]\nepochs = 3\n",
    scores={"mean_iou": 0.625, "boundary_f1": math.nan},
    class_iou={"sky": 0.9},
    trained_on="train of camvid-11",
    licence="Own: terms",
)


def test_a_folder_comes_back_with_its_card(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, folder = create_model("fcn-basic", 11).eval(), tmp_path / "street"
    save_pretrained(folder, model, CARD)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "example.png",
        "model.safetensors",
    ]
    image = torch.rand(1, 3, 24, 32)
    back = from_pretrained(folder)
    assert not back.training
    expected = {k: v.half().float() if v.dim() > 1 else v for k, v in model.state_dict().items()}  # as filters are kept
    assert all(torch.equal(tensor, expected[name]) for name, tensor in back.state_dict().items())
    with torch.no_grad():
        assert back(image).shape == (1, 11, 24, 32)
        assert torch.equal(segnet.load(folder)(image), back(image))
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"]["0"] == "sky"
    assert config["label2id"]["bicyclist"] == 10
    assert config["label_colours"]["road"] == [128, 64, 128]
    assert config["segnet"]["scores"] == {"mean_iou": 0.625}
    with Image.open(folder / "example.png") as example:
        assert example.width == 640
        assert example.height > 240  # the legend is below


def test_the_model_card(tmp_path: Path) -> None:
    save_pretrained(tmp_path, create_model("fcn-basic", 11), CARD)
    text = (tmp_path / "README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "other"
    assert header["license_name"] == "Own: terms"
    assert header["pipeline_tag"] == "image-segmentation"
    result = header["model-index"][0]["results"][0]
    assert result["metrics"] == [{"type": "mean_iou", "value": 0.625}]
    for part in (
        "| mean IoU | 0.6250 |",
        "| 0 | sky | `#808080` | 0.9000 |",
        "| 3 | road | `#804080` | - |",
        f'Predictor("{tmp_path}")("image.jpg")',
        sha256_of(tmp_path / "model.safetensors"),
        "Trained on: train of camvid-11",
        "CC BY-NC: personal and research use",  # known of CamVid, though the card does not say it
        "Licence of these weights: Own: terms",
        "epochs = 3",
        "![An image, and the classes that these weights give it](example.png)",
    ):
        assert part in text, part
    save_pretrained(
        tmp_path / "b", create_model("fcn-basic", 11), replace(CARD, licence="Apache 2.0", data_terms="mine")
    )
    text = (tmp_path / "b" / "README.md").read_text()
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "apache-2.0"
    assert "Terms of the training data: mine" in text


def test_a_model_of_other_classes_has_no_street_as_its_example(tmp_path: Path) -> None:
    label_set = LabelSet('c"ells', ("cell", "a|b"), ((0, 0, 0), (255, 0, 0)))
    card = WeightsCard("fcn-basic", label_set)
    save_pretrained(tmp_path / "cells", create_model("fcn-basic", 2), card)
    assert not (tmp_path / "cells" / "example.png").exists()
    text = (tmp_path / "cells" / "README.md").read_text()
    assert "example.png" not in text
    assert "| 1 | a/b |" in text
    yaml.safe_load(text.split("---\n")[1])
    Image.new("RGB", (50, 40)).save(tmp_path / "cell.png")
    save_pretrained(tmp_path / "cells", create_model("fcn-basic", 2), card, tmp_path / "cell.png")
    assert (tmp_path / "cells" / "example.png").exists()


@LFS
def test_pushing_and_loading_again(hub: Hub, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_pretrained(tmp_path, create_model("fcn-basic", 11), CARD)
    weights = tmp_path / "model.safetensors"
    where = push(weights, "hf://me/street")
    commit, files = hub.repos["me/street"]["main"]
    assert where == f"{hub.address}/me/street/commit/{commit}"
    assert files.keys() == {"README.md", "config.json", "example.png", "model.safetensors"}
    assert files["model.safetensors"] == weights.read_bytes()
    assert b'Predictor("hf://me/street")' in files["README.md"]
    assert load_weights("hf://me/street")[1] == read_card(weights)
    image = torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        assert torch.equal(from_pretrained("me/street")(image), segnet.load(weights)(image))
    assert push(weights, "hf://me/street").startswith(hub.address)  # it may exist


@LFS
def test_pushing_that_is_refused_says_why(hub: Hub, tmp_path: Path) -> None:
    save_pretrained(tmp_path, create_model("fcn-basic", 11), CARD)
    weights = tmp_path / "model.safetensors"
    hub.add("me/street", {})
    for target, message in {
        "hf://me/street/model.safetensors": "give hf://me/street",
        "hf://me/street@v3": "no branch 'v3' to push to",
        f"https://h/w.safetensors#sha256={'0' * 64}": "expected hf://owner/repo or a folder",
    }.items():
        with pytest.raises(WeightsError, match=message):
            push(weights, target)
    hub.full = True
    with pytest.raises(WeightsError, match=r"hf://me/street: not pushed .*try again"):
        push(weights, "hf://me/street")
    hub.read_only = True
    with pytest.raises(WeightsError, match=r"no permission to write there \(403\); log in with `hf auth login`"):
        push(weights, "hf://me/street")


def test_pushing_to_a_folder_keeps_the_bytes(tmp_path: Path) -> None:
    assert push("segnet-basic-camvid", tmp_path / "out") == str(tmp_path / "out")
    copied = tmp_path / "out" / "model.safetensors"
    assert sha256_of(copied) == WEIGHTS["segnet-basic-camvid"].sha256
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| mean IoU | 0.5747 |" in text
    assert "license: apache-2.0" in text
    assert find_weights(tmp_path / "out") == copied
