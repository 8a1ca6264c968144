import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.inference.predictor import Predictor
from segnet.inference.suggest import Judged, judge, suggest, write_suggestions
from segnet.labels import LabelSet

TWO = LabelSet("two", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)))


class Threshold(nn.Module):
    """Sure of dark and bright pixels, unsure of grey ones; the left half of an image is always a little brighter."""

    def __init__(self, lean: float = 0.0) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(1, 2, 1)
        self.lean = lean
        with torch.no_grad():
            self.classifier.weight.copy_(torch.tensor([-40.0, 40.0])[:, None, None, None])
            self.classifier.bias.copy_(torch.tensor([20.0, -20.0]))

    def forward(self, image: Tensor) -> Tensor:
        grey = image.mean(1, keepdim=True)
        left = torch.arange(image.shape[3]) < image.shape[3] // 2
        result: Tensor = self.classifier(grey + self.lean * left)
        return result


def predictor(lean: float = 0.0) -> Predictor:
    return Predictor(Threshold(lean), TWO, device="cpu", precision="float32")


def save(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def one(name: str, entropy: float, disagreement: float, *features: float) -> Judged:
    return Judged(Path(name), entropy, disagreement, np.array(features, np.float32))


def test_entropy_is_that_of_the_probabilities(tmp_path: Path) -> None:
    sure = save(tmp_path / "sure.png", np.zeros((8, 10)))
    grey = save(tmp_path / "grey.png", np.full((8, 10), 127.5))
    (tmp_path / "broken.png").write_bytes(b"")
    told: list[int] = []
    judged, broken = judge(predictor(), [sure, tmp_path / "broken.png", grey], on_done=lambda: told.append(1))
    assert len(told) == 3
    assert "broken.png" in str(broken[0])
    logit = 80 * 127 / 255 - 40
    p = 1 / (1 + math.exp(-logit))
    expected = -(p * math.log(p) + (1 - p) * math.log(1 - p)) / math.log(2)
    assert judged[0].entropy == pytest.approx(0, abs=1e-9)
    assert judged[1].entropy == pytest.approx(expected, abs=1e-5)
    assert judged[1].features.tolist() == pytest.approx(
        [127 / 255, 0], abs=1e-6
    )  # mean and deviation of what is classified
    assert [j.disagreement for j in judged] == [0, 0]


def test_borders_that_change_when_mirrored(tmp_path: Path) -> None:
    columns = np.tile(np.linspace(0, 255, 40), (30, 1))
    path = save(tmp_path / "ramp.png", columns)
    steady, _ = judge(predictor(), [path])
    leaning, _ = judge(predictor(0.3), [path])
    assert steady[0].disagreement == pytest.approx(0, abs=1e-9)
    assert leaning[0].disagreement > 0.5


def test_the_unsure_come_first_and_twins_do_not_come_together() -> None:
    judged = [
        one("sure", 0.1, 0.1, 5, 5),
        one("twin-a", 0.90, 0.9, 0, 0),
        one("twin-b", 0.89, 0.89, 0, 0.01),
        one("other", 0.6, 0.6, 9, 0),
    ]
    chosen = suggest(judged, 3)
    assert [s.image for s in chosen] == ["twin-a", "other", "sure"]
    assert [s.rank for s in chosen] == [1, 2, 3]
    assert (chosen[0].nearest, chosen[1].nearest) == ("", "twin-a")
    assert math.isnan(chosen[0].distance)
    assert "entropy 0.90, not less than in 100 % of the images" in chosen[0].why
    assert "borders change by 0.60 when mirrored, not less than in 50 %" in chosen[1].why
    assert "unlike twin-a" in chosen[1].why
    assert len(suggest(judged, 10)) == 4


def test_what_is_like_a_labelled_image_is_worth_less() -> None:
    judged = [one("known", 0.9, 0.9, 0, 0), one("new", 0.5, 0.5, 3, 3), one("far", 0.1, 0.1, -3, 3)]
    chosen = suggest(judged, 1, [one("labelled", 0, 0, 0.01, 0)])
    assert (chosen[0].image, chosen[0].nearest) == ("new", "labelled")


def test_the_list_as_csv_and_json(tmp_path: Path) -> None:
    chosen = suggest([one("a, b", 0.5, 0.1, 0), one("c", 0.6, 0.2, 1)], 2)
    write_suggestions(tmp_path / "l.csv", chosen)
    rows = list(csv.DictReader((tmp_path / "l.csv").read_text().splitlines()))
    assert [(r["rank"], r["image"], r["nearest"], r["distance"]) for r in rows] == [
        ("1", "c", "", ""),
        ("2", "a, b", "c", "1.0"),
    ]
    write_suggestions(tmp_path / "l.json", chosen)
    assert json.loads((tmp_path / "l.json").read_text())[0]["distance"] is None
    with pytest.raises(ConfigError, match=r"ends in .csv or .json"):
        write_suggestions(tmp_path / "l.txt", chosen)


def test_nothing_to_choose_from() -> None:
    with pytest.raises(ConfigError, match="3 suggestions of 0 images"):
        suggest([], 3)


def test_a_model_without_a_classifier() -> None:
    with pytest.raises(ConfigError, match="Conv2d has no module `classifier`"):
        judge(Predictor(nn.Conv2d(3, 2, 1), TWO, device="cpu"), [])
