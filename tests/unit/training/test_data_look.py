"""Before a run: one range of values for images of more than 8 bits, and warnings of labels that teach nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.config import FitConfig, TrainSettings, load_config, load_pretrain_config
from segnet.data import open_dataset
from segnet.data.describe_labels import init_folder
from segnet.errors import ConfigError, LabelError
from segnet.models import create_model
from segnet.training.data_look import warnings_before, with_range_of_values
from segnet.training.pretrain import pretrain
from segnet.training.recipe import train_from_config
from segnet.training.start import reading_of
from segnet.training.train import fit
from segnet.weights.file import read_card


def dataset(root: Path, peak: int, ids: tuple[int, ...] = (0, 1)) -> Path:
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for number in range(4):
        ramp = np.linspace(0, peak, 256).reshape(16, 16)
        Image.fromarray(ramp.astype(np.uint8 if peak < 256 else np.uint16)).save(root / f"images/{number}.png")
        target = np.full((16, 16), ids[0], np.uint8)
        target[4:8, 4:8] = ids[-1]
        Image.fromarray(target).save(root / f"labels/{number}.png")
    init_folder(root)
    return root


@pytest.mark.parametrize(("peak", "white"), [(255, None), (4095, 4095), (10_000, 10_000), (60_000, None)])
def test_the_range_of_values_is_chosen_once(peak: int, white: int | None, tmp_path: Path) -> None:
    given = load_config(None, [f"data.path={dataset(tmp_path, peak)}"])
    config, lines = with_range_of_values(given)
    assert len(lines) == (peak > 255)
    chosen = config.data.value_range
    assert (chosen is None) if white is None else chosen == pytest.approx((0, white), rel=0.02)
    image = open_dataset(tmp_path, "train", reading=reading_of(config.data))[0].image
    assert image.max() > 200  # not nearly black
    again, lines = with_range_of_values(config)
    assert again == config and (white is None or lines == ())


def test_a_given_range_is_kept(tmp_path: Path) -> None:
    given = load_config(None, [f"data.path={dataset(tmp_path, 4095)}", "data.value_range=[0,1000]"])
    assert with_range_of_values(given) == (given, ())
    street = load_config(None, ["data.path=street"])
    assert with_range_of_values(street) == (street, ())


def test_warnings_of_labels(tmp_path: Path) -> None:
    config = load_config(None, [f"data.path={dataset(tmp_path / 'a', 255)}"])
    assert warnings_before(config) == []
    text = (tmp_path / "a/labels.toml").read_text()
    (tmp_path / "a/labels.toml").write_text(
        text.replace("\nids = [0]", "\nids = [9]").replace("void_ids = []", "void_ids = [0]")
    )
    with pytest.raises(LabelError, match="one class only, 'class-1'"):
        warnings_before(config)


@pytest.mark.parametrize("way", ["train_from_config", "fit", "pretrain", "pretrain on a folder"])
def test_every_way_to_train_chooses_the_same_range(way: str, tmp_path: Path) -> None:
    data, out = dataset(tmp_path / "data", 4095), tmp_path / "run"
    few = ["data.workers=0", "train.epochs=1", "train.batch_size=2", "train.precision=float32"]
    if way == "fit":
        train = TrainSettings(epochs=1, batch_size=2, precision="float32")
        sets = [open_dataset(data, split) for split in ("train", "val")]
        weights = fit(create_model("enet", 2), *sets, FitConfig(train=train), out=out)
        assert sets[1][0].image.max() > 200  # the one that the caller goes on with
    elif way == "train_from_config":
        weights = train_from_config(load_config(None, [f"data.path={data}", "model.name=enet", *few]), out)
    else:
        path = data / "images" if way.endswith("folder") else data
        config = load_pretrain_config([f"data.path={path}", "train.layerwise=false", "data.longest_side_px=16", *few])
        weights = pretrain(config, out)
        assert read_card(weights).longest_side_px == 16
    assert read_card(weights).value_range == pytest.approx((0, 4095), rel=0.02)
    assert "value_range = [0.0, 40" in (out / "config.toml").read_text() or way == "fit"


def test_the_autoencoder_has_three_channels() -> None:
    with pytest.raises(ConfigError, match=r"data\.bands: the autoencoder rebuilds three channels, got 2 bands"):
        load_pretrain_config(["data.bands=[1,2]"])
