from pathlib import Path

import pytest
import torch
from torch import nn

from segnet.data import open_dataset
from segnet.data.loader import collate, ordered_batches
from segnet.device import choose_device
from segnet.models import create_model
from segnet.training.batch_norm_statistics import recompute_statistics

PLACE = choose_device("cpu", "float32")


def test_statistics_are_the_average_over_batches(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    recompute_statistics(model, dataset, PLACE, batch_size=4)
    with torch.no_grad():
        seen = [model[0](batch.image) for batch in ordered_batches(dataset, 4)]
    assert [len(s) for s in seen] == [4, 2]
    assert torch.allclose(model[1].running_mean, sum(s.mean((0, 2, 3)) for s in seen) / 2, atol=1e-6)
    assert torch.allclose(model[1].running_var, sum(s.var((0, 2, 3)) for s in seen) / 2, rtol=1e-5)


def test_parameters_modes_and_momentum_are_as_before(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    model = create_model("bayesian-segnet-basic", 11, normalisation="mean_std").train()
    model.classifier.eval()
    before = {k: v.clone() for k, v in model.named_parameters()}
    modes = [m.training for m in model.modules()]
    recompute_statistics(model, dataset, PLACE, batch_size=2)
    assert all(torch.equal(v, before[k]) for k, v in model.named_parameters())
    assert [m.training for m in model.modules()] == modes
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    first = {k: v.clone() for k, v in model.named_buffers()}
    recompute_statistics(model, dataset, PLACE, batch_size=2)  # dropout was off, so a second pass says the same
    assert all(torch.equal(v, first[k]) for k, v in model.named_buffers())


def test_a_model_in_evaluation_then_sees_normalised_maps(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    model = create_model(
        "segnet-basic", 11, normalisation="raw_bgr"
    ).eval()  # inputs 0..255: far from the statistics it starts with
    recompute_statistics(model, dataset, PLACE, batch_size=6)
    outputs = []
    hook = model.encoder.stage1[0].norm.register_forward_hook(lambda _, __, output: outputs.append(output.clone()))
    with torch.no_grad():
        model(collate([dataset[i] for i in range(6)]).image)
    hook.remove()
    assert outputs[0].mean().item() == pytest.approx(0, abs=1e-4)
    assert outputs[0].std().item() == pytest.approx(1, abs=1e-2)
