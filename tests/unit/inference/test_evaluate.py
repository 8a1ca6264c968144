import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segnet.crf.dense_crf import CRFParameters
from segnet.data import open_dataset
from segnet.data.sample import Sample
from segnet.device import choose_device
from segnet.errors import ConfigError
from segnet.inference.evaluate import evaluate
from segnet.labels import CAMVID_11, VOID
from segnet.metrics.boundary import boundary_f1_authors
from segnet.metrics.scores import Scores
from segnet.models import create_model


class ByRow(nn.Module):
    """Says sky (0) above the middle and road (3) below, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 11, 1)

    def forward(self, image: Tensor) -> Tensor:
        height = image.shape[2]
        classes = torch.zeros(image.shape[0], height, image.shape[3], dtype=torch.int64)
        classes[:, height // 2 :] = 3
        return nn.functional.one_hot(classes, 11).movedim(-1, 1).float()


def test_a_model_that_was_scored_can_be_trained(tiny_camvid: Path) -> None:
    model = create_model("segnet-basic", 11)
    evaluate(model, open_dataset(tiny_camvid, "val", "camvid"), choose_device("cpu", "float32"), boundaries=False)
    assert not any(tensor.is_inference() for tensor in model.state_dict().values())
    model.train()(torch.rand(2, 3, 32, 48)).mean().backward()


def test_scores_equal_counting_by_hand(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "val", "camvid")
    scores = evaluate(ByRow(), dataset, choose_device("cpu", "float32"))
    targets = np.stack([dataset[i].target for i in range(len(dataset))])
    predictions = np.zeros_like(targets)
    predictions[:, 12:] = 3
    labelled = targets != VOID
    assert scores.global_accuracy == pytest.approx((predictions == targets)[labelled].mean())
    ious, accuracies = {}, {}
    for c in (0, 1, 3, 8):
        expected, got = (targets == c) & labelled, (predictions == c) & labelled
        ious[c], accuracies[c] = (
            (expected & got).sum() / (expected | got).sum(),
            (expected & got).sum() / expected.sum(),
        )
    assert scores.mean_iou == pytest.approx(np.mean(list(ious.values())))
    assert scores.class_average_accuracy == pytest.approx(np.mean(list(accuracies.values())))
    assert scores.class_iou()["road"] == pytest.approx(ious[3])
    assert math.isnan(scores.class_iou()["fence"])
    record = scores.to_dict()
    assert record["classes_averaged"] == 4
    assert record["classes"]["fence"] == {"accuracy": None, "iou": None}
    assert [p["name"] for p in record["images"]] == ["val0", "val1"]
    assert scores.boundary_f1 == pytest.approx(np.mean([p.boundary_f1 for p in scores.images]))


def test_batches_score_as_single_images_do(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    device_spec = choose_device("cpu", "float32")
    one, three = (evaluate(ByRow(), dataset, device_spec, batch_size=n) for n in (1, 3))
    assert torch.equal(one.counts, three.counts)
    assert one.images == three.images


def test_boundaries_can_be_left_out() -> None:
    scores = Scores(CAMVID_11)
    scores.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), "flat", boundaries=False)
    assert math.isnan(scores.boundary_f1)
    assert scores.to_dict()["boundary_f1"] is None
    assert scores.mean_iou == 1.0


def test_evaluation_puts_the_model_in_evaluation_mode(tiny_camvid: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 11, 1), nn.BatchNorm2d(11)).train()
    before = model[1].running_mean.clone()
    evaluate(model, open_dataset(tiny_camvid, "val", "camvid"), choose_device("cpu", "float32"), boundaries=False)
    assert torch.equal(model[1].running_mean, before)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device cuda"):
        choose_device("cuda")
    with pytest.raises(ConfigError, match="device cuda:1: this machine or this build of PyTorch has none"):
        choose_device("cuda:1")
    assert choose_device("auto").device.type == "cpu"


def test_devices_by_name_and_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device(torch.device("cpu"), "float32").device == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(choose_device("cuda:1", "float32")) == "cuda:1, float32"
    assert choose_device(torch.device("cuda", 0), "float32").device.index == 0
    with pytest.raises(ConfigError, match="device cuda:2: this machine has 2 GPUs, numbered from 0"):
        choose_device("cuda:2", "float32")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps").precision == "float32"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device mps: this machine or this build of PyTorch has none"):
        choose_device("mps")


def test_the_authors_boundary_f1_is_a_score_of_its_own_when_asked_for() -> None:
    target = np.zeros((40, 40), np.uint8)
    target[:, 20:] = 1
    prediction = np.roll(target, 1, axis=1)
    prediction[:, 0] = 0
    scores = Scores(CAMVID_11)
    scores.add(prediction, target, "shifted", authors_form=True)
    assert scores.summary()["boundary_f1_authors"] == boundary_f1_authors(prediction, target, 11)
    scores = Scores(CAMVID_11)
    scores.add(prediction, target, "shifted")
    assert "boundary_f1_authors" not in scores.summary()


class Noisy(nn.Module):
    """Says by colour what is sky and what is road, and is unsure where a pixel's place is a multiple of three."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 11, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.full((image.shape[0], 11, *image.shape[2:]), -9.0)
        logits[:, 0] = 0.5
        logits[:, 3] = (image.mean(1) > 0.5).float()
        logits[:, 3, ::3, ::3] = 0.4
        return logits


def test_a_crf_scores_as_its_own_predictions_do() -> None:
    class Halves:
        label_set = CAMVID_11
        names = ("a", "b")

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Sample:
            target = np.zeros((12, 16), np.uint8)
            target[:, 6 + index :] = 3
            return Sample(np.where(target == 3, 200, 40)[..., None].repeat(3, 2).astype(np.uint8), target, "ab"[index])

    device_spec = choose_device("cpu", "float32")
    alone = evaluate(Noisy(), Halves(), device_spec)
    refined = evaluate(Noisy(), Halves(), device_spec, batch_size=2, crf=CRFParameters())
    assert alone.global_accuracy < 0.95
    assert refined.global_accuracy == 1.0
    assert refined.boundary_f1 == 1.0
