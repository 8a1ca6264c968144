"""Each model learns two tiny images by heart, and class weights lift a rare class."""

from pathlib import Path

import pytest
import torch

from segnet.data import open_dataset
from segnet.data.class_weights import count_frequencies, median_frequency
from segnet.data.loader import collate
from segnet.metrics import confusion
from segnet.models import MODELS
from segnet.nn.losses import cross_entropy, dice

# Models whose fully connected layers hold 70 million parameters and more: few units do for two images.
NARROW = {key: {"fc_channels": 64} for key in ("fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet")}
# Models without a decoder that sees fine maps get the images twice as large, or one cell would be half the image.
COARSE = (
    "bilinear-interpolation",
    "fcn-basic-no-addition",
    "fcn-32s",
    "fcn-16s",
    "fcn-8s",
    "fcn-8s-learnt",
    "deeplab-largefov",
)
# Models that take long to sharpen (BN right before the logits, filters of one channel, 22 bottlenecks): larger steps.
LR = {"segnet-basic-single-channel-decoder": 2e-2, "fcn-basic": 2e-2, "fcn-basic-no-addition": 2e-2, "enet": 2e-2}
# Four classes of strongly different colour: a model that can learn at all has nearly all of them right. Dropout models
# are still noisy after 30 steps. Four classes drawn as one would score below 0.15; FCN-32s has 2x2 cells for an image.
LEAST_MEAN_IOU = {
    "bayesian-segnet": 0.6,
    "bayesian-segnet-basic": 0.6,
    "bilinear-interpolation": 0.7,
    "fcn-basic-no-addition": 0.6,
    "fcn-32s": 0.2,
    "fcn-16s": 0.5,
    "fcn-8s": 0.7,
}


# Training a large model takes many seconds; what all share is seen red on these by `make test` already.
QUICK = ("segnet-basic", "segnet-basic-single-channel-decoder", "fcn-basic", "enet", "segnet")
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]


@pytest.mark.parametrize("name", EACH)
def test_overfits_two_images(name: str, tiny_camvid: Path) -> None:
    torch.manual_seed(0)
    dataset = open_dataset(tiny_camvid, "train", "camvid")
    batch = collate([dataset[0], dataset[1]])
    scale = 2 if name in COARSE else 1
    image = batch.image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    target = batch.target.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    model = MODELS[name](11, normalisation="mean_std", **NARROW.get(name, {})).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR.get(name, 2e-3))
    for _ in range(30):
        logits = model(image)
        loss = cross_entropy(logits, target) + dice(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for module in model.modules():  # dropout off, BN on the statistics of these two images
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.eval()
    with torch.no_grad():
        counts = confusion.confusion_counts(model(image).argmax(1), target, 11)
    assert confusion.mean_iou(counts)[0] > LEAST_MEAN_IOU.get(name, 0.85)


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
        counts = confusion.confusion_counts(model(batch.image).argmax(1), batch.target, 11)
        accuracy[name] = float(confusion.class_accuracy(counts)[rare])
    assert accuracy["weighted"] > accuracy["plain"] + 0.2
