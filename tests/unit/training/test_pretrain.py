"""What one step of learning without labels changes, what is measured, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.config import PretrainConfig, load_pretrain_config
from segnet.data.datasets.unlabelled import open_images
from segnet.data.loader import collate
from segnet.device import DeviceSpec
from segnet.errors import ConfigError, DataError, NonFiniteError, WeightsError
from segnet.training.pretrain import _Run, pretrain
from segnet.training.reconstruction import Span, measure

CPU = DeviceSpec(torch.device("cpu"), "float32")


def settings(root: Path, *more: str) -> PretrainConfig:
    fixed = ["data.workers=0", "train.epochs=1", "train.batch_size=2", "train.precision=float32"]
    return load_pretrain_config([f"data.path={str(root)!r}", *fixed, *more])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two images of noise, 12x16."""
    rng = np.random.default_rng(0)
    root = tmp_path / "images"
    root.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(root / name)
    return root


@pytest.mark.parametrize(
    ("span", "learning"),
    [
        (Span(1, 1), {"encoder.stage1", "decoder.bank1"}),
        (Span(3, 3), {"encoder.stage3", "decoder.bank3"}),
        (Span(1, 4), {f"{part}{n}" for part in ("encoder.stage", "decoder.bank") for n in (1, 2, 3, 4)}),
    ],
)
def test_only_the_stages_of_the_span_learn(span: Span, learning: set[str], images: Path) -> None:
    run = _Run.begin(settings(images, "train.weight_decay=0.1"), CPU)
    dataset = open_images(images, "train")
    batch = collate([dataset[0], dataset[1]])
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    run.learn(batch, span, 0.01)
    changed = {key for key, value in run.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if key.rsplit(".", 1)[0].removesuffix(".0.conv") in learning}


def test_the_lost_share_is_the_error_over_the_variance_of_each_channel(images: Path) -> None:
    run = _Run.begin(settings(images, "model.normalisation=mean_std"), CPU)
    rebuilt = measure(run.model, open_images(images, "train"), CPU, Span(1, 4))
    squares, variance, count = 0.0, 0.0, 0
    for name in ("a.png", "b.png"):
        image = torch.from_numpy(np.asarray(Image.open(images / name)).copy()).permute(2, 0, 1)[None] / 255
        given = run.model.normalisation(image)
        with torch.no_grad():
            squares += float(((run.model(image) - given) ** 2).sum())
        variance += float((given.flatten(2).var(2, correction=0) * given[0, 0].numel()).sum())
        count += given.numel()
    assert rebuilt.mean_squared_error == pytest.approx(squares / count, rel=1e-4)
    assert rebuilt.lost_share == pytest.approx(squares / variance, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run(images: Path) -> None:
    run = _Run.begin(settings(images), CPU)
    torch.nn.init.constant_(run.model.decoder.get_submodule("bank2").weight, float("inf"))
    dataset = open_images(images, "train")
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    with pytest.raises(NonFiniteError, match=r"at step 0 \(stage 2\) on a\.png, b\.png"):
        run.learn(collate([dataset[0], dataset[1]]), Span(2, 2), 0.1)
    assert all(torch.equal(value, before[key]) for key, value in run.model.state_dict().items())


def test_a_run_is_not_overwritten_or_mixed_with_another(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(WeightsError, match="without --resume"):
        pretrain(settings(images), out, resume=True)
    weights = pretrain(settings(images), out)
    before = weights.read_bytes()
    with pytest.raises(ConfigError, match="--resume"):
        pretrain(settings(images), out)
    with pytest.raises(ConfigError, match=r"train\.layerwise was True, now False"):
        pretrain(settings(images, "train.layerwise=false"), out, resume=True)
    assert pretrain(settings(images, "model.licence=mine"), out, resume=True) == weights  # finished: changes nothing
    assert weights.read_bytes() == before


def test_fewer_images_than_a_batch(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 images, fewer than a batch of 3"):
        pretrain(settings(images, "train.batch_size=3"), tmp_path / "run")
