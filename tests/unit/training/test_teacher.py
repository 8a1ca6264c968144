"""Learning from a teacher: the loss by hand, and teachers that cannot teach."""

from pathlib import Path

import pytest
import torch
from trained_models import random_images, trained

from segnet.config import load_config
from segnet.device import choose_device
from segnet.errors import ConfigError, WeightsError
from segnet.labels import CAMVID_11, SUN_37
from segnet.nn.losses import distillation
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config
from segnet.training.teacher import Teacher
from segnet.weights.file import WeightsCard, save_weights

CPU = choose_device("cpu", "float32")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "basic.safetensors"
    save_weights(path, trained("segnet-basic"), WeightsCard("segnet-basic", CAMVID_11), torch.float32)
    return str(path)


def test_divergence_by_hand() -> None:
    teacher = torch.tensor([0.8, 0.2]).log().view(1, 2, 1, 1).expand(1, 2, 3, 4)
    own = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1).expand(1, 2, 3, 4)
    expected = 0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()
    assert distillation(own, teacher).item() == pytest.approx(expected.item(), rel=1e-5)
    assert distillation(teacher, teacher).item() == pytest.approx(0, abs=1e-7)
    # at a temperature of 2 the teacher's odds of 4 to 1 become 2 to 1
    soft = 2 / 3 * torch.tensor(4 / 3).log() + 1 / 3 * torch.tensor(2 / 3).log()
    assert distillation(own, teacher, 2.0).item() == pytest.approx(4 * soft.item(), rel=1e-5)
    with pytest.raises(ConfigError, match="temperature 0: expected a number above 0"):
        distillation(own, teacher, 0)


def test_the_teacher_gives_its_models_logits(weights: str) -> None:
    image = random_images(2, 3, 20, 30)
    with torch.no_grad():
        expected = trained("segnet-basic")(image)
    got = Teacher(weights, CAMVID_11, 3, CPU).logits(image)
    assert not got.requires_grad
    assert (got - expected).abs().max() < 1e-3 * expected.abs().max()  # BN folded


def test_teachers_of_other_classes_or_channels_are_refused(weights: str) -> None:
    with pytest.raises(WeightsError, match="take a teacher that was trained for the same classes"):
        Teacher(weights, SUN_37, 3, CPU)
    with pytest.raises(WeightsError, match="is for images of 3 channels; the data has 4"):
        Teacher(weights, CAMVID_11, 4, CPU)


def test_a_run_learns_from_its_teacher(weights: str, tiny_camvid: Path, tmp_path: Path) -> None:
    """With the teacher's own weights to start from, divergence from it is nearly all that is added: nothing."""
    common = ["model.name=segnet-basic", "data.workers=0", "train.batch_size=2", "train.lr=1e-6", "train.epochs=4"]
    common += [f"data.path={tiny_camvid}", "train.evaluate_every=0", "train.max_steps=10", "train.precision=float32"]
    losses = {}
    for name, more in {
        "alone": [],
        "taught": [f"train.teacher={weights}", "loss.distillation=10.0"],
        "off": [f"train.teacher={weights}", "loss.distillation=0.0"],
    }.items():
        kept = train_from_config(load_config(None, [*common, *more]), tmp_path / name)
        assert kept.exists()
        losses[name] = [r["loss"] for r in read_log(tmp_path / name / "log.jsonl")]
        assert len(losses[name]) == 1  # ten steps: max_steps ends it before the fourth epoch
    assert losses["off"] == losses["alone"]
    assert losses["taught"][0] > losses["alone"][0] + 0.5
