from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segnet.errors import ConfigError, WeightsError
from segnet.labels import CAMVID_11, LabelSet
from segnet.models import create_model
from segnet.weights.blend import blend_weights
from segnet.weights.file import WeightsCard, load_weights, save_weights

OTHER_NAMES = LabelSet("mine", tuple("abcdefghijk"), CAMVID_11.colours)
Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """A file of random weights, its BN statistics and card too."""

    def save(name: str, *, model: str = "segnet-basic", normalisation: str = "mean_std", labels: LabelSet = CAMVID_11):
        model_name = create_model(model, labels.num_classes, normalisation=normalisation)
        with torch.no_grad():
            for tensor in model_name.state_dict().values():
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)
        file = tmp_path / f"{name}.safetensors"
        card = WeightsCard(model, labels, recipe=f"seed = '{name}'", scores={"mean_iou": 0.5}, class_iou={"sky": 0.5})
        save_weights(file, model_name, card, dtype=torch.float32)
        return file

    return save


@pytest.mark.parametrize("share", [0, 0.2, 1])
def test_parameters_and_statistics_lie_between(share: float, saved: Saved) -> None:
    first, second = saved("first"), saved("second")
    states = [load_weights(file)[0].state_dict() for file in (first, second)]
    model, _ = blend_weights(first, second, share)
    assert not model.training
    for name, tensor in model.state_dict().items():
        one, two = (state[name] for state in states)
        if not tensor.is_floating_point():
            assert torch.equal(tensor, one), name
            continue
        torch.testing.assert_close(tensor, (1 - share) * one + share * two, msg=name)
        if share in (0, 1):
            assert torch.equal(tensor, (one, two)[share]), name


def test_the_card_names_both_runs_and_claims_no_score(saved: Saved) -> None:
    card = blend_weights(saved("first"), saved("second"), 0.25)[1]
    assert card.recipe.splitlines() == [
        "seed = 'first'",
        "",
        "# blended with a share of 0.25 of weights that were trained from these by",
        "# seed = 'second'",
    ]
    assert (card.scores, card.class_iou) == ({}, {})


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float, saved: Saved) -> None:
    with pytest.raises(ConfigError, match="share: expected 0 to 1, got"):
        blend_weights(saved("first"), saved("second"), share)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"model": "enet"}, "model: segnet-basic; enet;"),
        ({"normalisation": "raw_bgr"}, "input normalisation: "),
        ({"labels": OTHER_NAMES}, "classes: sky, building.*; a, b, c"),
    ],
)
def test_weights_that_are_no_kin_are_refused(other: dict, what: str, saved: Saved) -> None:
    with pytest.raises(WeightsError, match=rf"first.safetensors and .*second.safetensors differ in their {what}"):
        blend_weights(saved("first"), saved("second", **other), 0.5)
