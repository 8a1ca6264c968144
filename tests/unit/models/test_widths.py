"""Models with fewer channels: from a card, in weights files, and what cannot be."""

from pathlib import Path

import pytest
import torch
from trained_models import random_images, trained

from segnet.errors import ConfigError, WeightsError
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.models.widths import set_widths, widths_of
from segnet.weights.create import create_model as create_from_weights
from segnet.weights.create import load
from segnet.weights.file import WeightsCard, read_card, save_weights

LEAN = {
    "encoder.stage4.0.conv": (64, 16),
    "encoder.stage4.0.norm": (16, 16),
    "decoder.stage4.0.conv": (16, 64),
}


def test_a_model_of_given_widths() -> None:
    model = create_model("segnet-basic", 11, widths=LEAN)
    assert widths_of(model) == LEAN
    assert model.encoder.get_submodule("stage4.0.conv").weight.shape == (16, 64, 7, 7)
    assert model(random_images(2, 3, 20, 30)).shape == (2, 11, 20, 30)


def test_the_first_channels_stay() -> None:
    model = trained("segnet-basic")
    weight = model.encoder.get_submodule("stage4.0.conv").weight.clone()
    set_widths(model, LEAN)
    assert torch.equal(model.encoder.get_submodule("stage4.0.conv").weight, weight[:16])


def test_widths_that_do_not_fit_are_refused() -> None:
    model = create_model("segnet-basic", 11)
    with pytest.raises(ConfigError, match=r"no layer 'encoder.stage9.0.conv'"):
        set_widths(model, {"encoder.stage9.0.conv": (1, 1)})
    with pytest.raises(ConfigError, match="1 to 64 input and 1 to 64 output channels, got 64 and 65"):
        set_widths(model, {"encoder.stage4.0.conv": (64, 65)})
    assert widths_of(model) == {}


def test_weights_carry_them(tmp_path: Path) -> None:
    model = trained("segnet-basic")
    set_widths(model, LEAN)
    path = tmp_path / "lean.safetensors"
    save_weights(path, model, WeightsCard("segnet-basic", CAMVID_11), torch.float32)
    assert read_card(path).widths == LEAN
    image = random_images(1, 3, 20, 30)
    with torch.no_grad():
        assert torch.equal(load(path)(image), model(image))
    assert widths_of(create_from_weights("segnet-basic", 4, weights=path)) == LEAN
    assert widths_of(create_from_weights("segnet-basic-encoder-addition", 4, weights=path)) == {}


def test_a_card_whose_widths_do_not_fit_is_refused(tmp_path: Path) -> None:
    model = trained("segnet-basic")
    set_widths(model, LEAN)
    del model.widths
    with pytest.raises(WeightsError, match="does not fit 'segnet-basic'"):
        save_weights(tmp_path / "lean.safetensors", model, WeightsCard("segnet-basic", CAMVID_11))
