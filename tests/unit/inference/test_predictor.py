import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.crf.dense_crf import CRFParameters, DenseCRF
from segnet.data.adapting import label_set_of
from segnet.errors import ConfigError, DataError, ShapeError
from segnet.inference.prediction import Prediction, save_prediction
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11, LabelSet
from segnet.metrics.scores import Scores
from segnet.models import create_model
from segnet.weights.file import WeightsCard, load_weights, save_weights


def write_weights(path: Path, name: str) -> Path:
    torch.manual_seed(0)
    model = create_model(name, 11, normalisation="mean_std")
    for module in model.modules():  # statistics as after training, so that logits differ from class to class
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(4.0)
    save_weights(path, model, WeightsCard(model=name, label_set=CAMVID_11))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "basic.safetensors", "segnet-basic")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 33, 3), dtype=np.uint8)


def test_classes_are_the_argmax_of_the_model_at_the_images_size(weights: Path, image: np.ndarray) -> None:
    predictor = Predictor(weights, device="cpu", precision="float32")
    result = predictor(image, confidence=True, probabilities=True)
    with torch.inference_mode():
        logits = predictor.model(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    assert np.array_equal(result.classes, logits.argmax(1)[0].numpy())
    assert result.classes.shape == (21, 33)
    assert result.classes.dtype == np.uint8
    assert len(np.unique(result.classes)) > 1
    assert result.probability is not None
    assert result.probability.shape == (11, 21, 33)
    assert np.allclose(result.probability.astype(np.float32).sum(0), 1, atol=2e-3)  # eleven float16 roundings
    assert np.allclose(result.confidence, logits.softmax(1).amax(1)[0].numpy(), atol=1e-6)
    assert sum(result.shares().values()) == pytest.approx(1)
    assert list(result.shares().values()) == sorted(result.shares().values(), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 3), (31, 45)])
def test_any_size(weights: Path, size: tuple[int, int]) -> None:
    result = Predictor(weights, precision="float32")(np.zeros((*size, 3), np.uint8))
    assert result.classes.shape == size


def test_a_large_image_is_shown_small_and_answered_at_its_own_size(weights: Path, image: np.ndarray) -> None:
    small = np.asarray(Image.fromarray(image).resize((22, 14), Image.Resampling.BILINEAR))
    whole = Predictor(weights, device="cpu", precision="float32")
    with torch.inference_mode():
        logits = whole.model(torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float() / 255)
        expected = torch.nn.functional.interpolate(logits, (21, 33), mode="bilinear", align_corners=False)[0]
    predictor = Predictor(weights, device="cpu", precision="float32", longest_side_px=22)
    result = predictor(image, confidence=True)
    assert np.array_equal(result.image, image)
    assert np.array_equal(result.classes, expected.argmax(0).numpy())
    assert np.allclose(result.confidence, expected.softmax(0).amax(0).numpy(), atol=1e-6)
    assert np.array_equal(predictor(image).classes, result.classes)
    assert np.array_equal(predictor(small).classes, whole(small).classes)  # 22 px is not larger than 22 px


def test_uncertainty_of_a_large_image_has_its_size(tmp_path: Path, image: np.ndarray) -> None:
    predictor = Predictor(write_weights(tmp_path / "b.safetensors", "bayesian-segnet-basic"), longest_side_px=16)
    result = predictor(image, uncertainty_samples=2)
    assert result.uncertainty is not None
    assert {values.shape for values in result.uncertainty.values()} == {(21, 33)}


def test_path_and_array_agree_and_a_batch_agrees_with_one(weights: Path, image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(image).save(path)
    predictor = Predictor(weights, precision="float32")
    one = predictor(image)
    assert np.array_equal(predictor(path).classes, one.classes)
    both = predictor.batch([image, image[::-1].copy()])
    assert (both[0].classes == one.classes).mean() > 0.999  # sums in another order may flip a near tie
    with pytest.raises(ShapeError, match="one size"):
        predictor.batch([image, image[:-1]])


def test_saved_files(tmp_path: Path, image: np.ndarray) -> None:
    predictor = Predictor(write_weights(tmp_path / "w.safetensors", "bayesian-segnet-basic"), precision="float32")
    result = predictor(image, confidence=True, probabilities=True, uncertainty_samples=3)
    save_prediction(result, tmp_path / "out", "p")
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "p-classes.png",
        "p-confidence.png",
        "p-entropy.png",
        "p-mutual-information.png",
        "p-overlay.png",
        "p-probability.npz",
        "p-variance.png",
    ]
    classes = Image.open(tmp_path / "out" / "p-classes.png")
    assert classes.mode == "P"
    assert np.array_equal(np.array(classes), result.classes)
    assert tuple(np.array(classes.convert("RGB"))[0, 0]) == CAMVID_11.colours[result.classes[0, 0]]
    with np.load(tmp_path / "out" / "p-probability.npz") as stored:
        assert np.array_equal(stored["probability"], result.probability)
        assert list(stored["names"]) == list(CAMVID_11.names)
    confidence = np.array(Image.open(tmp_path / "out" / "p-confidence.png"))
    assert np.allclose(confidence / 255, result.confidence, atol=0.5 / 255 + 1e-6)
    assert result.uncertainty is not None
    assert result.uncertainty["variance"].max() > 0


def test_bad_input(weights: Path, image: np.ndarray, tmp_path: Path) -> None:
    predictor = Predictor(weights)
    for wrong in (image[..., 0], image.astype(np.float32), image[:0], np.dstack([image, image[..., :1]])):
        with pytest.raises(ShapeError, match="RGB image"):
            predictor(wrong)
    for other in (b"bytes", [[[1, 2, 3]]], None):
        with pytest.raises(ShapeError, match="expected a path, an image of Pillow, or an array"):
            predictor(other)
    with pytest.raises(DataError, match="does not exist"):
        predictor(tmp_path / "none.png")
    with pytest.raises(ConfigError, match="no dropout"):
        predictor(image, uncertainty_samples=2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"device": "gpu"}, "unknown device 'gpu'; did you mean 'cpu'?"),
        ({"device": torch.device("meta")}, "unknown device 'meta'"),
        ({"tta": "flop"}, "test-time augmentation 'flop': expected flip and factors"),
        ({"label_set": CAMVID_11}, "label_set is for a module"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"precision": torch.bfloat16}, "unknown precision 'torch.bfloat16'"),
        ({"longest_side_px": -1}, "longest_side_px -1: expected pixels, 0 for images as they are"),
    ],
)
def test_words_that_are_none_are_refused(wrong: dict, said: str, weights: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Predictor(weights, **wrong)


def test_an_image_of_pillow_and_a_buffer_that_is_used_again(weights: Path, image: np.ndarray) -> None:
    predictor = Predictor(weights, precision="float32")
    expected = predictor(image)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = Image.fromarray(image[::-1, ::-1].copy())
    turned.getexif().update(exif)
    assert np.array_equal(predictor(turned).classes, expected.classes)
    buffer = image.copy()
    result = predictor(buffer)
    buffer[:] = 0
    assert np.array_equal(result.image, image)


def test_what_the_caller_is_in_changes_nothing(weights: Path, image: np.ndarray) -> None:
    predictor = Predictor(weights, device="cpu", precision="float32")
    expected = predictor(image, probabilities=True).probability
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(predictor(image, probabilities=True).probability, expected)


def test_a_failed_save_leaves_nothing(weights: Path, image: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError):
        Predictor(weights)(image).save(tmp_path / "file" / "p.png")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_crf_stands_between_model_and_prediction(weights: Path, image: np.ndarray) -> None:
    parameters = CRFParameters(iterations=2)
    predictor = Predictor(weights, device="cpu", precision="float32", crf=parameters)
    refined = predictor(image, confidence=True)
    with torch.inference_mode():
        alone = predictor.model(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255).softmax(1)[0].numpy()
    expected = DenseCRF(image, parameters)(alone)
    assert np.array_equal(refined.classes, expected.argmax(0))
    assert not np.array_equal(refined.classes, alone.argmax(0))
    np.testing.assert_allclose(refined.confidence, expected.max(0), atol=1e-6)


def test_predictions_compare(weights: Path, image: np.ndarray) -> None:
    predictor = Predictor(weights, device="cpu", precision="float32")
    one, same = predictor(image, confidence=True), predictor(image, confidence=True)
    assert one == same
    assert one != predictor(image)  # without confidence
    assert one != predictor(image[:-1], confidence=True)
    changed = replace(one, classes=one.classes.copy())
    changed.classes[0, 0] = (one.classes[0, 0] + 1) % 11
    assert one != changed
    assert one != "street"
    full = predictor(image, probabilities=True)
    assert full == predictor(image, probabilities=True)
    assert full.probability is not None
    assert full != replace(full, probability=full.probability + 1)
    maps = {"variance": np.full((21, 33), np.nan, np.float32)}
    assert replace(one, uncertainty=maps) == replace(one, uncertainty={"variance": maps["variance"].copy()})
    assert replace(one, uncertainty=maps) != replace(one, uncertainty={"entropy": maps["variance"]})


def test_an_empty_batch_is_an_empty_list(weights: Path) -> None:
    assert Predictor(weights, device="cpu").batch([]) == []


def test_a_notebook_shows_the_overlay(weights: Path, image: np.ndarray) -> None:
    result = Predictor(weights, device="cpu")(image)
    shown = Image.open(io.BytesIO(result._repr_png_()))
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), np.asarray(result.overlay()))


def test_a_prediction_and_scores_print_as_one_line(image: np.ndarray) -> None:
    classes = np.zeros((8, 10), np.uint8)
    classes[0] = 1
    assert repr(Prediction(image, classes, label_set_of(["road", "car"]))) == "Prediction(8x10: road 87.5%, car 12.5%)"
    scores = Scores.of(label_set_of(2), [("a", classes, np.zeros_like(classes))], boundaries=False)
    assert repr(scores).startswith(
        "Scores(1 images: global_accuracy 0.8750, class_average_accuracy 0.8750, mean_iou 0.4"
    )
    assert repr(Scores(label_set_of(2))) == "Scores(0 images: no labelled pixel)"


def test_a_module_of_ours_predicts_like_its_weights(weights: Path, image: np.ndarray) -> None:
    model, card = load_weights(weights)
    by_module = Predictor(model, card.label_set, device=torch.device("cpu"), precision="float32")
    by_name = Predictor(weights, device="cpu", precision="float32")
    assert by_module(image) == by_name(image)
    assert by_module.label_set == CAMVID_11
    with pytest.raises(ConfigError, match=r"SegNetBasic: a module does not know its classes; .* Predictor\(model, \["):
        Predictor(model)


class Brightness(torch.nn.Module):
    """Somebody else's model: two classes by brightness, with a control flow that cannot be traced."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if image.max() > 2:
            raise AssertionError("images come in [0, 1]")
        mean = image.mean(1)
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


def test_a_module_of_anybody_predicts(image: np.ndarray) -> None:
    labels = LabelSet("light", ("dark", "bright"), ((0, 0, 1), (255, 255, 255)))
    predictor = Predictor(Brightness(), labels, device="cpu", precision="float32")
    result = predictor(image, confidence=True)
    assert np.array_equal(result.classes, (image.mean(2) > 127.5).astype(np.uint8))
    by_names = Predictor(Brightness(), ["dark", "bright"], device="cpu", precision="float32")(image)
    assert by_names.shares() == result.shares()
    assert "class 1" in Predictor(Brightness(), 2, device="cpu", precision="float32")(image).shares()
    half = torch.nn.AvgPool2d(2)
    with pytest.raises(ShapeError, match=r"expected logits \(N, K, H, W\) = \(1, K, 21, 33\) at the size of the image"):
        Predictor(half, labels, device="cpu")(image)


def test_other_channels_from_arrays(image: np.ndarray) -> None:
    labels = LabelSet("two", ("a", "b"), ((255, 0, 0), (0, 255, 0)))
    six = np.concatenate([image, image[::-1]], axis=2)
    predictor = Predictor(create_model("segnet-basic", 2, 6), labels, device="cpu", precision="float32")
    assert predictor.in_channels == 6
    result = predictor(six)
    assert np.array_equal(result.image, six)
    assert np.array_equal(result.rgb, image)
    assert result.overlay().size[0] >= image.shape[1]
    with pytest.raises(ShapeError, match=r"an image of the model's 6 channels, uint8 \(H, W, 6\), got uint8"):
        predictor(image)
    grey = Predictor(create_model("segnet-basic", 2, 1), labels, device="cpu", precision="float32", longest_side_px=16)
    assert grey(image[..., 0]) == grey(image[..., :1])


def test_the_same_model_with_another_longest_side(weights: Path, image: np.ndarray) -> None:
    plain = Predictor(weights, device="cpu", precision="float32")
    smaller = plain.with_longest_side(16)
    assert (plain.longest_side_px, smaller.longest_side_px) == (None, 16)
    assert smaller(image) == Predictor(weights, device="cpu", precision="float32", longest_side_px=16)(image)


def test_test_time_augmentation_is_the_mean_over_the_mirror_image(weights: Path, image: np.ndarray) -> None:
    plain = Predictor(weights, device="cpu", precision="float32")
    flipped = Predictor(weights, device="cpu", precision="float32", tta="flip")
    expected = (plain.probability([image]) + plain.probability([image[:, ::-1]]).flip(3)) / 2
    torch.testing.assert_close(flipped.probability([image]), expected)
    assert np.array_equal(flipped(image).classes, expected[0].argmax(0).numpy())
    with pytest.raises(ConfigError, match="cannot be combined"):
        flipped(image, uncertainty_samples=2)
