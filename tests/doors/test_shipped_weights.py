"""The weights that ship do what the README and their own card claim."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.data import open_dataset
from segnet.data.sample import Image8
from segnet.data.street.scenes import Street
from segnet.data.transforms import image_to_tensor
from segnet.inference.evaluate import evaluate
from segnet.inference.predictor import Predictor
from segnet.io.files import sha256_of
from segnet.labels import CAMVID_11, VOID
from segnet.runtime.quantised import read_quantised
from segnet.weights.file import WEIGHTS, find_weights, read_card

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
NAME = "segnet-basic-camvid"


def claimed(weights: str = NAME) -> dict[str, float]:
    """The row of the README's table of weights: mean IoU, G, C and BF."""
    row = re.search(rf"^\| `{weights}` \|.*$", README, flags=re.MULTILINE)
    assert row, f"the README has no row for {weights}"
    numbers = [float(n) for n in re.findall(r"0\.\d{3}", row[0])]
    return dict(zip(("mean_iou", "global_accuracy", "class_average_accuracy", "boundary_f1"), numbers, strict=True))


@pytest.mark.parametrize(
    ("weights", "model"), [(NAME, "segnet-basic"), ("segnet-camvid", "segnet"), ("segnet-lean-camvid", "segnet")]
)
def test_the_card_says_what_they_are_and_the_readme_agrees(weights: str, model: str) -> None:
    card = read_card(find_weights(weights))
    assert card.label_set == CAMVID_11
    assert card.model == model
    assert card.licence == "Apache-2.0"
    assert sha256_of(find_weights(weights)) == WEIGHTS[weights].sha256
    assert "epochs" in card.recipe
    assert len(card.class_iou) == 11
    for name, value in claimed(weights).items():
        assert card.scores[name] == pytest.approx(value, abs=0.0006), name  # printed with three digits


@pytest.mark.parametrize("weights", [NAME, "segnet-lean-camvid"])
def test_the_int8_file_is_made_from_the_weights_and_costs_little(weights: str) -> None:
    path = find_weights(f"{weights}-int8")
    assert sha256_of(path) == WEIGHTS[f"{weights}-int8"].sha256
    card = read_quantised(path, find_weights(weights))[1]
    assert card.scored_images == 101
    assert card.scores_before["mean_iou"] - card.scores_after["mean_iou"] < 0.005


@pytest.mark.slow
@pytest.mark.data
def test_int8_gives_nearly_the_classes_of_the_lean_model(shared_data: Path) -> None:
    image = open_dataset(shared_data / "camvid", "val", "camvid")[30].image
    expected = Predictor("segnet-lean-camvid", device="cpu", precision="float32")(image).classes
    assert (Predictor("segnet-lean-camvid-int8")(image).classes == expected).mean() > 0.97


@pytest.mark.parametrize("weights", [NAME, "segnet-lean-camvid"])
def test_the_weights_in_the_package_say_the_terms_of_their_training_data(weights: str) -> None:
    card = read_card(find_weights(weights))
    assert "CC BY-NC" in card.data_terms
    assert "asks to be cited" in card.data_terms
    assert "shared" not in card.recipe


@pytest.mark.slow
@pytest.mark.data
def test_evaluation_gives_the_claimed_scores(shared_data: Path) -> None:
    predictor = Predictor(NAME)
    dataset = open_dataset(shared_data / "camvid", "val", "camvid")
    scores = evaluate(predictor.model, dataset, predictor.device_spec).summary()
    for name, value in claimed().items():
        # Another processor may round its bfloat16 products otherwise, which moves a few pixels in a thousand.
        assert scores[name] == pytest.approx(value, abs=0.003), name


def same_share(weights: str, image: Image8) -> float:
    """Of the pixels whose class by default, on the fast path, is that of the model itself in float32."""
    predictor = Predictor(weights)
    with torch.inference_mode():
        expected = predictor.model(image_to_tensor(image)[None].to(predictor.device_spec.device)).argmax(1)[0]
    return float((predictor(image).classes == expected.cpu().numpy()).mean())


@pytest.mark.parametrize("weights", [NAME, "segnet-camvid", "segnet-lean-camvid"])
def test_the_fast_path_gives_the_classes_of_the_model(weights: str) -> None:
    # a drawn scene, which no model of CamVid is sure of; bfloat16 moves a pixel in a hundred
    assert same_share(weights, Street(1, (180, 240))[0].image) > 0.97


@pytest.mark.data
@pytest.mark.parametrize("weights", [NAME, "segnet-camvid", "segnet-lean-camvid"])
def test_the_fast_path_gives_the_classes_of_the_model_on_camvid(weights: str, shared_data: Path) -> None:
    # bfloat16 moved 6 pixels in a thousand; float32 moves none
    assert same_share(weights, open_dataset(shared_data / "camvid", "val", "camvid")[30].image) > 0.99


@pytest.mark.data
@pytest.mark.parametrize("size", [(360, 480), (241, 319), (377, 501)])
def test_a_validation_image_at_odd_sizes(shared_data: Path, size: tuple[int, int]) -> None:
    sample = open_dataset(shared_data / "camvid", "val", "camvid")[30]
    image = np.asarray(Image.fromarray(sample.image).resize(size[::-1], Image.Resampling.BILINEAR))
    target = np.asarray(Image.fromarray(sample.target).resize(size[::-1], Image.Resampling.NEAREST))
    prediction = Predictor(NAME)(image)
    assert prediction.classes.shape == size
    assert (prediction.classes == target)[target != VOID].mean() > 0.8


def test_a_drawn_street_has_its_road_below() -> None:
    """Without any real data: what the model learnt of streets holds for a drawn one where it is plainest."""
    sample = Street(1, (360, 480), seed=7)[0]
    prediction = Predictor(NAME)(sample.image)
    road = CAMVID_11.names.index("road")
    bottom = (prediction.classes == road)[-120:]
    top = (prediction.classes == road)[:120]
    assert bottom.mean() > 5 * top.mean()
