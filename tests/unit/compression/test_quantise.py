"""Int8 as a file of its own: its card, its scores, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trained_models import trained

from segnet.compression.quantise import quantise
from segnet.data import open_dataset
from segnet.errors import ConfigError, DataError, WeightsError
from segnet.export import export_weights
from segnet.inference.predictor import Predictor
from segnet.io.files import sha256_of
from segnet.labels import CAMVID_11, SUN_37
from segnet.runtime.quantised import QuantisedCard, is_quantised, read_quantised
from segnet.weights.file import WeightsCard, save_weights

pytestmark = pytest.mark.slow  # NNCF and OpenVINO take seconds for each model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "basic.safetensors"
    save_weights(path, trained("segnet-basic"), WeightsCard("segnet-basic", CAMVID_11))
    return path


@pytest.fixture(scope="module")
def quantised(weights: Path, tiny_camvid: Path) -> tuple[Path, QuantisedCard]:
    path = weights.with_name("basic-int8.safetensors")
    train, val = open_dataset(tiny_camvid, "train", "camvid"), open_dataset(tiny_camvid, "val", "camvid")
    return path, quantise(weights, train, val, path, num_images=3, max_loss_points=100)


def test_the_card_describes_the_file(weights: Path, quantised: tuple[Path, QuantisedCard]) -> None:
    path, card = quantised
    assert is_quantised(path)
    assert not is_quantised(weights)
    assert [p.name for p in sorted(path.parent.iterdir())] == ["basic-int8.safetensors", "basic.safetensors"]
    tensors, stored = read_quantised(path, weights)
    assert stored == card
    assert card.weights_sha256 == sha256_of(weights)
    assert (card.images, card.scored_images, card.kept_float) == (3, 2, ())
    assert (
        set(card.scores_before) == set(card.scores_after) == {"global_accuracy", "class_average_accuracy", "mean_iou"}
    )
    assert b"FakeQuantize" in tensors["xml"].numpy().tobytes()


def test_it_predicts_nearly_as_the_model(
    weights: Path, quantised: tuple[Path, QuantisedCard], tiny_camvid: Path
) -> None:
    predictor = Predictor(quantised[0])
    assert str(predictor) == "openvino, cpu, int8"
    sample = open_dataset(tiny_camvid, "val", "camvid")[0]
    result = predictor(sample.image, confidence=True)
    assert result.confidence is not None
    assert np.array_equal(predictor(sample.image).classes, result.classes)
    expected = Predictor(weights, precision="float32")(sample.image).classes
    assert (result.classes == expected).mean() > 0.8  # random filters on flat colours: doubtful pixels everywhere
    assert predictor(np.zeros((9, 13, 3), np.uint8)).classes.shape == (9, 13)


def test_options_that_int8_does_not_support(quantised: tuple[Path, QuantisedCard]) -> None:
    with pytest.raises(ConfigError, match="is quantised: it runs on openvino, on the CPU, in int8"):
        Predictor(quantised[0], precision="bfloat16")
    assert Predictor(quantised[0], precision="int8").backend.precision == "int8"
    with pytest.raises(ConfigError, match="precision int8 is that of a quantised file: make one with segnet quantise"):
        Predictor("segnet-basic-camvid", precision="int8")
    with pytest.raises(ConfigError, match="a quantised file has no PyTorch model to sample"):
        Predictor(quantised[0])(np.zeros((9, 13, 3), np.uint8), uncertainty_samples=2)


def test_other_weights_are_refused(quantised: tuple[Path, QuantisedCard], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_weights(
            other, trained("segnet-basic").double().float(), WeightsCard("segnet-basic", CAMVID_11, licence="x")
        )
    with pytest.raises(WeightsError, match="was quantised from other weights"):
        read_quantised(quantised[0], other)
    with pytest.raises(WeightsError, match="is not a quantised file"):
        read_quantised(other)


def test_an_int8_file_for_openvino(weights: Path, quantised: tuple[Path, QuantisedCard], tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    made = export_weights(weights, "openvino", out, size_px=(24, 32), answer="classes", quantised=quantised[0])
    assert made.operators["FakeQuantize"] >= 9  # the inputs of SegNet-Basic's convolutions
    assert made.num_bytes < 0.6 * 4 * 1_416_075  # a byte a weight, not four
    assert made.run is not None
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    answer = made.run(image.transpose(2, 0, 1)[None] / np.float32(255))
    # the same model, but for float32 instead of bfloat16 between its convolutions
    assert (answer[0] == Predictor(quantised[0])(image).classes).mean() > 0.9
    with pytest.raises(ConfigError, match="only --to openvino exports it, onnx exports float32"):
        export_weights(weights, "onnx", tmp_path / "model.onnx", size_px=(24, 32), quantised=quantised[0])
    with pytest.raises(WeightsError, match="was quantised from other weights"):
        export_weights("segnet-basic-camvid", "openvino", out, size_px=(24, 32), quantised=quantised[0])


def test_datasets_that_cannot_calibrate(weights: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    train = open_dataset(tiny_camvid, "train", "camvid")

    class Other:
        label_set = SUN_37
        names: tuple[str, ...] = ("a",)

        def __len__(self) -> int:
            return len(self.names)

    with pytest.raises(WeightsError, match=r"the weights have the classes of .*, the dataset those of"):
        quantise(weights, Other(), train, tmp_path / "q.safetensors")  # type: ignore[arg-type]
    Other.names = ()
    with pytest.raises(DataError, match="the calibration or scoring dataset has no images"):
        quantise(weights, Other(), train, tmp_path / "q.safetensors")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_allowed_writes_nothing(weights: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    train = open_dataset(tiny_camvid, "train", "camvid")
    with pytest.raises(WeightsError, match=r"mean IoU is .* above the allowed -100 points"):
        quantise(weights, train, train, tmp_path / "q.safetensors", num_images=1, num_scored=1, max_loss_points=-100)
    assert not list(tmp_path.iterdir())
