import json
from pathlib import Path

import pytest
import torch

from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError
from segnet.models.widths import set_widths
from segnet.training import run_context as surroundings
from segnet.training.run_context import (
    chosen_config,
    config_of_run,
    look_at_data,
    look_at_machine,
    starts_at_hand,
    starts_to_try,
)
from segnet.weights import vgg16
from segnet.weights.file import WEIGHTS, find_weights, load_weights, save_weights
from segnet.weights.named import NamedWeights


def test_data_is_told_by_a_few_samples() -> None:
    facts = look_at_data(Street(20, (24, 32)))
    assert (facts.num_images, facts.size_px) == (20, (24, 32))
    assert facts.class_names[0] == "sky"


def test_the_machine_has_cores_and_memory() -> None:
    facts = look_at_machine(torch.device("cpu"))
    assert facts.device == "cpu"
    assert facts.cores >= 1
    assert 0.5 < facts.memory_gib < 1e5


def test_starts_are_the_weights_whose_files_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WEIGHTS, "elsewhere", WEIGHTS["segnet-basic-camvid"]._replace(file="elsewhere.safetensors"))
    found = {start.name: start for start in starts_at_hand()}
    assert found["segnet-basic-camvid"].model == "segnet-basic"
    assert "road" in found["segnet-basic-camvid"].class_names
    assert "elsewhere" not in found


def test_lean_weights_and_imagenet_are_tried_and_not_taken_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, card = load_weights("segnet-basic-camvid")
    set_widths(model, {"decoder.stage1.0.conv": (64, 8), "decoder.stage1.0.norm": (8, 8), "classifier": (8, 11)})
    save_weights(tmp_path / "weights" / "lean.safetensors", model, card)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(WEIGHTS, "lean", NamedWeights("lean.safetensors"))
    assert find_weights("lean").name == "lean.safetensors"
    assert "lean" not in {start.name for start in starts_at_hand()}
    monkeypatch.setattr(vgg16, "cache_folder", lambda: tmp_path)
    assert "lean" in {start.name for start in starts_to_try()}
    assert not any(start.is_vgg16 for start in starts_to_try())  # nothing is fetched for a trial
    for name in ("oxford", "torchvision"):
        (tmp_path / vgg16.VGG16_FILES[name].file).touch()
    assert [(s.name, s.model, s.normalisation) for s in starts_to_try() if s.is_vgg16] == [
        ("oxford", "segnet", "caffe_bgr")
    ]


def test_what_is_given_wins_over_what_is_chosen(tiny_camvid: Path) -> None:
    config, lines = chosen_config([f"data.path={json.dumps(str(tiny_camvid))}", "train.epochs=7"])
    assert config.train.epochs == 7
    assert config.model.start == "segnet-basic-camvid"
    assert config.augment.crop_px == (24, 32)
    assert "6 images of 24x32" in lines[0]
    with pytest.raises(ConfigError, match="did you mean 'lr'"):
        chosen_config(["train.lrr=1"])
    with pytest.raises(DataError, match="nowhere does not exist"):
        chosen_config(["data.path=nowhere"])


def test_a_run_goes_on_with_its_own_settings_on_any_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = chosen_config([])
    (tmp_path / "config.toml").write_text(config.to_toml())
    monkeypatch.setattr(surroundings, "choose_settings", None)  # nobody is asked again
    again = config_of_run(tmp_path, ["data.workers=0"])
    assert again is not None
    assert again.data.workers == 0
    assert again.model_copy(update={"data": config.data}) == config


@pytest.mark.parametrize("text", [None, "[train", "[train]\nlayerwise = true\n"])
def test_another_folder_holds_no_training_run(tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "config.toml").write_text(text)
    assert config_of_run(tmp_path, []) is None
