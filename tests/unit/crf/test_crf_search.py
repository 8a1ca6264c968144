"""The grid search on small images where it is known that a CRF helps, and the file that carries what it found."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segnet.crf import search as crf_search
from segnet.crf.dense_crf import CRFParameters, DenseCRF
from segnet.crf.file import read_crf, write_crf
from segnet.crf.search import ModelOutput, model_outputs, search_crf
from segnet.data.sample import Sample
from segnet.device import choose_device
from segnet.errors import ConfigError, DataError
from segnet.labels import CAMVID_11, VOID

GRID = {
    "smoothness_weight": (0.5,),
    "appearance_weight": (0.01, 3.0),
    "appearance_px": (20.0,),
    "appearance_rgb": (8.0,),
}


def noisy(seed: int, height: int = 20, width: int = 28) -> ModelOutput:
    """An image of two even colours, a model that is right 3 times in 4, a corner of void."""
    rng = np.random.default_rng(seed)
    target = np.zeros((height, width), np.uint8)
    target[:, rng.integers(8, width - 8) :] = 1
    image = (np.array([[60, 80, 100], [180, 150, 90]])[target] + rng.integers(-4, 5, (height, width, 3))).astype(
        np.uint8
    )
    score = np.full((11, height, width), -9.0)
    score[:2] = rng.normal(size=(2, height, width)) + np.stack([target == 0, target == 1])
    probability = np.exp(score) / np.exp(score).sum(0)
    target[:3, :3] = VOID
    return ModelOutput(Sample(image, target, f"p{seed}"), probability.astype(np.float16))


@pytest.mark.parametrize("measure", ["boundary_f1", "mean_iou"])
def test_the_search_finds_the_weight_that_removes_the_noise(
    monkeypatch: pytest.MonkeyPatch, measure: crf_search.Measure
) -> None:
    monkeypatch.setattr(crf_search, "COARSE_GRID", GRID)
    outputs = [noisy(seed) for seed in range(4)]
    result = search_crf(outputs, CAMVID_11, measure, rounds=2)
    assert result.best.appearance_weight >= 2  # 0.01 leaves the noise
    assert result.best.iterations == 5
    assert getattr(result.alone, measure) < 0.7
    assert getattr(result.ranked[0][1], measure) > 0.95
    assert result.gain == pytest.approx(getattr(result.ranked[0][1], measure) - getattr(result.alone, measure))
    assert len(result.ranked) == 9  # the coarse grid's best, and two neighbours for each of four parameters
    values = [getattr(scores, measure) for _, scores in result.ranked]
    assert values == sorted(values, reverse=True)
    assert int(result.alone.counts.sum()) == 4 * (20 * 28 - 9)  # void does not count


def test_scores_are_those_of_the_crf_itself_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crf_search, "COARSE_GRID", GRID)
    outputs = [noisy(seed) for seed in range(2)]
    one, two = (search_crf(outputs, CAMVID_11, rounds=2, workers=workers) for workers in (1, 2))
    assert [(p, s.summary()) for p, s in one.ranked] == [(p, s.summary()) for p, s in two.ranked]
    parameters, scores = one.ranked[-1]
    right = sum(
        int((DenseCRF(o.sample.image, parameters)(o.probability).argmax(0) == o.sample.target).sum()) for o in outputs
    )
    assert int(scores.counts.diagonal().sum()) == right


def test_the_first_round_takes_a_quarter_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crf_search, "COARSE_GRID", GRID)
    seen: list[str] = []

    class Watched(DenseCRF):
        def __init__(self, image: np.ndarray, parameters: CRFParameters) -> None:
            seen.append(f"{parameters.widths}")
            super().__init__(image, parameters)

    monkeypatch.setattr(crf_search, "DenseCRF", Watched)
    search_crf([noisy(seed) for seed in range(8)], CAMVID_11, rounds=1)
    assert len(seen) == 2 + 8  # filters once an image for both weights of the grid, then its best on all


def test_a_search_that_only_does_harm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is right everywhere on an image whose colours say nothing."""
    monkeypatch.setattr(crf_search, "COARSE_GRID", {**GRID, "smoothness_weight": (30.0,), "appearance_weight": (30.0,)})
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (16, 16)).astype(np.uint8)
    probability = np.full((11, 16, 16), 0.01)
    np.put_along_axis(probability, target[None].astype(np.int64), 0.9, 0)
    image = np.full((16, 16, 3), 90, np.uint8)
    result = search_crf([ModelOutput(Sample(image, target, "a"), probability.astype(np.float16))], CAMVID_11, rounds=1)
    assert result.alone.mean_iou == 1
    assert result.gain < 0


def test_the_models_word_on_images_spread_over_the_data_set() -> None:
    class Five:
        label_set = CAMVID_11
        names = tuple("abcde")

        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Sample:
            image = np.full((2, 3, 3), 51 * index, np.uint8)
            return Sample(image, np.zeros((2, 3), np.uint8), self.names[index])

    class Red(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([image[:, :1], torch.zeros_like(image[:, :1])], 1)

    outputs = model_outputs(Red(), Five(), 3, choose_device("cpu", "float32"))
    assert [o.sample.name for o in outputs] == ["a", "c", "e"]
    assert outputs[2].probability.shape == (2, 2, 3)
    assert outputs[2].probability.dtype == np.float16
    assert outputs[2].probability[0, 0, 0] == pytest.approx(1 / (1 + np.exp(-0.8)), abs=1e-3)
    assert len(model_outputs(Red(), Five(), 20, choose_device("cpu", "float32"))) == 5


def test_nothing_to_search_on_is_an_error() -> None:
    with pytest.raises(ConfigError, match="got 0 and 3"):
        search_crf([], CAMVID_11)
    void = noisy(0)
    void.sample.target[:] = VOID
    with pytest.raises(ConfigError, match="mean_iou is undefined on these 1 images"):
        search_crf([void], CAMVID_11, "mean_iou")


# ------------------------------------------------------------------------------------------------ the file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    parameters = CRFParameters(0.5, 2.0, 4.25, 33.3, 7.0, iterations=6)
    write_crf(tmp_path / "crf.toml", parameters, ["boundary_f1 0.5\non 20 images"])
    assert read_crf(tmp_path / "crf.toml") == parameters
    assert (tmp_path / "crf.toml").read_text().splitlines()[:2] == [
        "# boundary_f1 0.5 on 20 images",
        "smoothness_weight = 0.5",
    ]
    (tmp_path / "few.toml").write_text("appearance_px = 30")
    assert read_crf(tmp_path / "few.toml") == CRFParameters(appearance_px=30.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apearance_px = 3", r"unknown name 'apearance_px'; did you mean 'appearance_px'\?"),
        ("smoothness_weight = -1", "smoothness_weight = -1.0: expected a number of at least 0"),
        ("appearance_rgb = 'wide'", "appearance_rgb = 'wide': expected a number"),
        ("iterations = 2.5", "iterations = 2.5: expected a whole number"),
        ("iterations = true", "iterations = True: expected a whole number"),
        ("appearance_px", "not valid TOML"),
    ],
)
def test_a_file_that_does_not_fit_says_where(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "crf.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as error:
        read_crf(tmp_path / "crf.toml")
    assert "crf.toml" in str(error.value)


def test_a_file_that_is_not_there_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"crf\.toml does not exist; `segnet crf search` writes such a file"):
        read_crf(tmp_path / "crf.toml")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="not text"):
        read_crf(tmp_path / "image.png")
