"""A run of other channels: statistics of the training set, and the same result after an interruption."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.config import load_config
from segnet.data import open_dataset
from segnet.data.channel_statistics import channel_statistics
from segnet.data.reading.bands import ImageReading
from segnet.nn.normalisation import statistics_of
from segnet.training.start import create_for_dataset, reading_of

LABELS = """
name = "two"
labels = "ids"
class = [{ name = "a", colour = [255, 0, 0] }, { name = "b", colour = [0, 255, 0] }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four arrays of 4 bands and 16 bits."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(2):
            np.save(tmp_path / f"images/{split}/{number}.npy", rng.integers(0, 4096, (16, 20, 4), dtype=np.uint16))
            Image.fromarray(rng.integers(0, 2, (16, 20), dtype=np.uint8)).save(
                tmp_path / f"labels/{split}/{number}.png"
            )
    (tmp_path / "labels.toml").write_text(LABELS)
    return tmp_path


def test_a_model_for_the_bands_of_the_data(folder: Path) -> None:
    settings = [f"data.path={folder}", "data.bands=[4,1]", "data.value_range=[0,4095]", "model.name=segnet-basic"]
    config = load_config(None, settings)
    assert reading_of(config.data) == ImageReading((0.0, 4095.0), (4, 1))
    dataset = open_dataset(folder, "train", reading=reading_of(config.data))
    model = create_for_dataset(config, dataset)
    stored = np.stack([np.load(folder / f"images/train/{i}.npy") for i in (0, 1)])[..., [3, 0]] / 4095
    assert statistics_of(model) is not None
    assert statistics_of(model).mean == pytest.approx(stored.mean((0, 1, 2)), abs=1 / 255)  # type: ignore[union-attr]
    assert statistics_of(model).mean == pytest.approx(channel_statistics(dataset).mean)  # type: ignore[union-attr]
    assert model(torch.rand(1, 2, 9, 8)).shape == (1, 2, 9, 8)
    resumed = create_for_dataset(config, dataset, measure=False)
    assert resumed.state_dict().keys() == model.state_dict().keys()  # a checkpoint brings the statistics


def test_rgb_keeps_the_models_own_normalisation(tiny_camvid: Path) -> None:
    config = load_config(None, [f"data.path={tiny_camvid}", "model.name=segnet-basic"])
    model = create_for_dataset(config, open_dataset(tiny_camvid, "train"))
    assert model.normalisation.name == "lcn"
    assert not [name for name in model.state_dict() if name.startswith("normalisation")]
