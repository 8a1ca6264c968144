from pathlib import Path

import pytest
import torch

import segnet
from segnet.errors import ConfigError, WeightsError
from segnet.labels import CAMVID_11
from segnet.nn.normalisation import ChannelStatistics
from segnet.weights.file import WeightsCard, save_weights


def test_load_gives_a_plain_module_in_eval_mode() -> None:
    model = segnet.load("segnet-basic-camvid")
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    with torch.no_grad():
        assert model(torch.rand(1, 3, 13, 9)).shape == (1, 11, 13, 9)


def test_create_model_for_other_classes_and_channels() -> None:
    model = segnet.create_model("segnet-basic", num_classes=4, in_channels=6)
    assert model.training
    assert model(torch.rand(2, 6, 12, 14)).shape == (2, 4, 12, 14)
    with pytest.raises(ConfigError, match="in_channels: expected a whole number, got 'lcn'"):
        segnet.create_model("segnet-basic", 4, "lcn")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="in_channels 0: expected at least 1"):
        segnet.create_model("segnet-basic", 4, 0)


def test_create_model_from_weights_takes_their_normalisation(tmp_path: Path) -> None:
    trained = segnet.create_model("segnet-basic", 11, normalisation="raw_bgr")
    path = tmp_path / "w.safetensors"
    save_weights(path, trained, WeightsCard("segnet-basic", CAMVID_11), torch.float32)
    model = segnet.create_model("segnet-basic", 4, weights=path)
    assert model.normalisation.name == "raw_bgr"
    assert torch.equal(model.encoder.stage1[0].conv.weight, trained.encoder.stage1[0].conv.weight)
    assert model.classifier.weight.shape == (4, 64, 1, 1)
    with pytest.raises(WeightsError, match="weights for 3 channels, the model has 2"):
        segnet.create_model("segnet-basic", 4, 2, path)
    carried = segnet.create_model("segnet-basic", 4, 2, path, carry_first_layer=True)
    assert carried.normalisation.name == "mean_std"
    assert torch.equal(carried.encoder.stage2[0].conv.weight, trained.encoder.stage2[0].conv.weight)


def test_statistics_of_the_training_set() -> None:
    statistics = ChannelStatistics((0.5,), (0.125,))
    model = segnet.create_model("unet", 2, 1, statistics=statistics)
    assert model.normalisation(torch.full((1, 1, 1, 1), 0.75)).item() == 2.0


def test_unknown_weights() -> None:
    with pytest.raises(WeightsError, match="unknown weights 'segnet-camvit'; did you mean 'segnet-camvid'"):
        segnet.create_model("segnet", 11, weights="segnet-camvit")
