"""Each net learns two tiny pictures by heart, and class weights lift a rare class."""

from pathlib import Path

import pytest
import torch

from segnet import metrics
from segnet.data import open_dataset
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.loader import collate
from segnet.losses import cross_entropy, dice
from segnet.models import MODELS, create_model


@pytest.mark.parametrize("name", MODELS)
def test_overfits_two_pictures(name: str, tiny_camvid: Path) -> None:
    torch.manual_seed(0)
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    batch = collate([dataset[0], dataset[1]])
    model = create_model(name, 11, "mean_std").train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(30):
        logits = model(batch.image)
        loss = cross_entropy(logits, batch.target) + dice(logits, batch.target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for module in model.modules():  # dropout off, BN on the statistics of these two pictures
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        counts = metrics.confusion_counts(model(batch.image).argmax(1), batch.target, 11)
    # Four classes of strongly different colour: a net that can learn at all has nearly all of them right. Dropout nets
    # are still noisy after 30 steps.
    assert metrics.mean_iou(counts)[0] > (0.6 if name.startswith("bayesian") else 0.85)


def test_class_weights_lift_the_rare_class(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    batch = collate([dataset[i] for i in range(6)])
    weights = median_frequency(count_frequencies(dataset))
    rare = 8
    accuracy = {}
    for name, class_weights in (("plain", None), ("weighted", weights)):
        torch.manual_seed(0)
        model = torch.nn.Conv2d(3, 11, 1)  # too small to separate everything: it must choose whom to serve
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(15):
            loss = cross_entropy(model(batch.image), batch.target, class_weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        counts = metrics.confusion_counts(model(batch.image).argmax(1), batch.target, 11)
        accuracy[name] = float(metrics.class_accuracy(counts)[rare])
    assert accuracy["weighted"] > accuracy["plain"] + 0.2
