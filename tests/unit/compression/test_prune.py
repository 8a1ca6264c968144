"""Pruning to a budget: what is counted, what is chosen, what is refused; and runs that stop and go on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from trained_models import random_images, trained

from segnet.compression.allocate import Allocation, Budget, shares_by_round
from segnet.compression.channels import ChannelGroups, find_groups
from segnet.compression.class_layers import class_layers
from segnet.compression.cost import layer_costs, macs_of
from segnet.compression.importance import group_scores
from segnet.compression.latency import share_for_latency
from segnet.compression.prune import pruned, size_of
from segnet.compression.prune_run import PruneSettings, prune_weights
from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.data.loader import ordered_batches
from segnet.device import choose_device
from segnet.errors import ConfigError, WeightsError
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11, SUN_37
from segnet.models import MODELS, create_model
from segnet.training.run import Run
from segnet.weights.file import WeightsCard, load_weights, save_weights

SIZE = (64, 96)


def even(groups: ChannelGroups) -> dict[int, float]:
    return {group: place / len(block) for block in groups.blocks for place, group in enumerate(block)}


def counted_macs(model: nn.Module) -> int:
    """PyTorch's own count, which knows nothing of ours."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, *SIZE, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", MODELS)
def test_macs_counted_are_macs_removed(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 11)
    model.to("meta")
    groups = find_groups(model)
    allocation = Allocation(groups, layer_costs(model, SIZE), even(groups))
    whole = allocation.cost("macs")
    assert whole == macs_of(model, SIZE)
    lean = pruned(model, groups, even(groups), "macs", 0.5 * whole, size_px=SIZE)
    allocation.reduce_to("macs", 0.5 * whole)
    assert macs_of(lean, SIZE) == allocation.cost("macs") <= 0.5 * whole
    assert counted_macs(model) - counted_macs(lean) == whole - allocation.cost("macs")


def test_parameters_counted_are_those_there() -> None:
    with torch.device("meta"):
        model = create_model("enet", 11)
    groups = find_groups(model)
    whole = sum(p.numel() for p in model.parameters())
    allocation = Allocation(groups, layer_costs(model, SIZE), even(groups), multiple=4)
    assert allocation.cost("parameters") == whole
    lean = pruned(model, groups, even(groups), "parameters", 0.4 * whole, size_px=SIZE, multiple=4)
    allocation.reduce_to("parameters", 0.4 * whole)
    assert sum(p.numel() for p in lean.parameters()) == allocation.cost("parameters") <= 0.4 * whole


def test_what_does_least_for_its_cost_goes_first() -> None:
    with torch.device("meta"):
        model = create_model("segnet", 11)
    groups, costs = find_groups(model), layer_costs(model, SIZE)
    useless = set(groups.blocks[3][40:56])
    scores = {group: 0.0 if group in useless else 1.0 for block in groups.blocks for group in block}
    allocation = Allocation(groups, costs, scores)
    assert allocation.reduce_to("channels", allocation.cost("channels") - 16) == useless
    lean = pruned(model, groups, scores, "channels", 0.3 * allocation.cost("channels"), size_px=SIZE)
    assert all(value % 8 == 0 for name, (_, value) in lean.widths.items() if name != "classifier")  # type: ignore[union-attr,operator]


def test_no_width_falls_below_its_share_as_long_as_that_is_possible() -> None:
    with torch.device("meta"):
        model = create_model("segnet", 11)
    groups = find_groups(model)
    scores = {group: float(number) for number, block in enumerate(groups.blocks) for group in block}
    whole = size_of(model, SIZE, groups).macs
    held = pruned(model, groups, scores, "macs", 0.5 * whole, size_px=SIZE, least_share=0.5)
    assert all(
        2 * held.widths[n][1] >= m.out_channels
        for n, m in model.named_modules()
        if n in held.widths and hasattr(m, "out_channels")
    )  # type: ignore[index,union-attr,operator]
    leaner = pruned(model, groups, scores, "macs", 0.1 * whole, size_px=SIZE, least_share=0.5)  # not possible with it
    assert macs_of(leaner, SIZE) <= 0.1 * whole


def test_budgets_that_cannot_be_are_refused() -> None:
    with torch.device("meta"):
        model = create_model("segnet-basic", 11)
    groups = find_groups(model)
    with pytest.raises(ConfigError, match=r"with every layer at its least, 40 channels stay, more than the 3 that may"):
        pruned(model, groups, {}, "channels", 3, size_px=SIZE)
    for share in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="expected above 0, at most 1"):
            Budget("macs", share)
    with pytest.raises(ConfigError, match="rounds 0: expected at least 1"):
        PruneSettings(Budget("macs", 0.5), rounds=0)
    assert shares_by_round(0.125, 3) == pytest.approx([0.5, 0.25, 0.125])


def test_scores_are_the_squared_change_of_the_loss(tiny_camvid: Path) -> None:
    """Against the loss itself: a channel of the classifier's input is made smaller by a little, by hand."""
    model = trained("segnet-basic").double()
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    batch = next(iter(ordered_batches(dataset, 2)))
    batch = replace(batch, image=batch.image.double())
    groups = find_groups(model)
    scores = group_scores(model, groups, [batch], choose_device("cpu", "float32"))
    assert set(scores) == {group for block in groups.blocks for group in block}
    norm = model.decoder.get_submodule("stage1.0.norm")

    def loss() -> float:
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model(batch.image), batch.target, ignore_index=255))

    channel, step = 5, 1e-3
    before = loss()
    with torch.no_grad():
        norm.weight[channel] *= 1 - step  # type: ignore[index,operator]
        norm.bias[channel] *= 1 - step  # type: ignore[index,operator]
    slope = (before - loss()) / step
    group = groups.layers["decoder.stage1.0.norm"].outputs[channel]
    assert scores[group] == pytest.approx(slope**2, rel=0.02)  # a finite step
    assert model.training is False
    assert all(p.grad is None for p in model.parameters())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "basic.safetensors"
    save_weights(path, trained("segnet-basic"), WeightsCard("segnet-basic", CAMVID_11, licence="CC0"))
    return path


def settings(root: Path, *more: str) -> Config:
    fixed = ["augment.flip=true", "data.workers=0", "train.batch_size=2", "train.optimiser=adamw", "train.lr=0.001"]
    return load_config(None, [f"data.path={root}", *fixed, "train.checkpoint_every=1", *more])


def test_keeping_everything_is_the_same_model(weights: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "same.safetensors"
    made = prune_weights(weights, settings(tiny_camvid), out, PruneSettings(Budget("channels", 1.0), 1, 0, 2))
    assert made.before == made.after
    before, after = load_file(weights), load_file(out)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert made.card.widths == {}


@pytest.fixture(scope="module")
def lean(weights: Path, tiny_camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lean") / "lean.safetensors"
    prune_weights(weights, settings(tiny_camvid), out, PruneSettings(Budget("macs", 0.3), 2, 2, 2))
    return out


def test_a_lean_model_is_a_model_like_any_other(lean: Path, weights: Path, tiny_camvid: Path) -> None:
    model, card = load_weights(lean)
    whole = macs_of(load_weights(weights)[0], (360, 480))
    assert macs_of(model, (360, 480)) <= 0.3 * whole
    assert card.widths
    assert card.widths["encoder.stage1.0.conv"][0] == 3
    assert card.scores["mean_iou"] >= 0
    assert card.licence == "CC0"
    assert "of the macs, by channels, in 2 rounds of 2 steps" in card.recipe
    assert model(random_images(1, 3, 45, 60)).shape == (1, 11, 45, 60)
    assert Predictor(lean)(open_dataset(tiny_camvid, "val", "camvid")[0].image).classes.shape == (24, 32)


def test_resumed_pruning_equals_unbroken_pruning(
    lean: Path, weights: Path, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, learnt = Run.learn, []

    def learn_until(run: Run, *args: object) -> float:
        if len(learnt) == 3:  # in the middle of the second round's training
            raise KeyboardInterrupt
        learnt.append(1)
        return learn(run, *args)  # type: ignore[arg-type]

    out = tmp_path / "lean.safetensors"
    how = PruneSettings(Budget("macs", 0.3), 2, 2, 2)
    monkeypatch.setattr(Run, "learn", learn_until)
    with pytest.raises(KeyboardInterrupt):
        prune_weights(weights, settings(tiny_camvid), out, how)
    monkeypatch.undo()
    assert not out.exists()
    with pytest.raises(ConfigError, match="holds a run already; add --resume"):
        prune_weights(weights, settings(tiny_camvid), out, how)
    with pytest.raises(ConfigError, match="a run of other weights or settings"):
        prune_weights(weights, settings(tiny_camvid, "train.lr=0.1"), out, how, resume=True)
    prune_weights(weights, settings(tiny_camvid), out, how, resume=True)
    unbroken, resumed = load_file(lean), load_file(out)
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_other_classes_and_names_are_refused(tiny_camvid: Path, weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    with torch.random.fork_rng():
        save_weights(other, create_model("segnet-basic", 37), WeightsCard("segnet-basic", SUN_37))
    how = PruneSettings(Budget("macs", 0.5))
    with pytest.raises(WeightsError, match="prune with a dataset of the classes that the model was trained on"):
        prune_weights(other, settings(tiny_camvid), tmp_path / "out.safetensors", how)
    with pytest.raises(WeightsError, match=r"weights are saved as \.safetensors"):
        prune_weights(weights, settings(tiny_camvid), tmp_path / "out.pt", how)
    with pytest.raises(ConfigError, match="no run to go on with"):
        prune_weights(weights, settings(tiny_camvid), tmp_path / "out.safetensors", how, resume=True)


def test_the_share_for_a_latency() -> None:
    with torch.device("meta"):
        model = create_model("segnet-basic", 11)
    card = WeightsCard("segnet-basic", CAMVID_11)
    whole = macs_of(model, SIZE)

    def clock(lean: nn.Module) -> float:
        return 100 * macs_of(lean, SIZE) / whole

    share = share_for_latency(model, card, 30, clock, SIZE)
    assert 0.2 < share <= 0.3  # widths are multiples of 8
    assert share_for_latency(model, card, 100, clock, SIZE) == 1.0
    with pytest.raises(ConfigError, match="the leanest model that was tried takes"):
        share_for_latency(model, card, 1e-3, clock, SIZE)


def test_the_layers_of_the_classes() -> None:
    assert class_layers(WeightsCard("segnet", CAMVID_11)) == ["classifier"]
    named = class_layers(WeightsCard("fcn-basic", CAMVID_11))
    assert {"classifier", "encoder.reduce1", "decoder.upsample1"} <= set(named)
    with torch.device("meta"):
        blocks = find_groups(create_model("fcn-basic", 11), named).blocks
    assert [len(block) for block in blocks] == [64, 64, 64, 64]
