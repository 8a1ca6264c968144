"""What a command's words mean for a run: minutes, resuming, a folder that is taken, scale, and lines in a log file."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.device import choose_device
from segnet.errors import ConfigError
from segnet.inference.evaluate import evaluate
from segnet.inference.predictor import Predictor
from segnet.metrics.scores import Scores
from segnet.training import planning, progress, run_context
from segnet.training.auto_config import Start, Tried
from segnet.training.planning import plan_run
from segnet.training.recipe import train_from_config
from segnet.training.run_context import chosen_config
from segnet.training.trial import Times
from segnet.weights.file import load_weights

LABELS = 'name = "animals"\nlabels = "ids"\nclass = [{ name = "ground" }, { name = "cat", colour = [9, 99, 9] }]\n'


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Four images of 400x600 that one animal nearly fills."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        for number in range(2):
            target = np.zeros((400, 600), np.uint8)
            target[40:360, 60 + 20 * number : 460] = 1
            image = rng.integers(0, 60, (400, 600, 3), dtype=np.uint8) + np.uint8(150) * target[..., None]
            Image.fromarray(image).save(tmp_path / f"data/images/{split}/{number}.png")
            Image.fromarray(target).save(tmp_path / f"data/labels/{split}/{number}.png")
    (tmp_path / "data" / "labels.toml").write_text(LABELS)
    return tmp_path / "data"


def words(data: Path, *more: str) -> list[str]:
    return [f"data.path={str(data)!r}", "data.workers=0", "train.batch_size=2", "model.name=enet", *more]


def test_whole_objects_are_learnt_at_a_small_scale_and_predicted_at_it(animals: Path, tmp_path: Path) -> None:
    config, lines = chosen_config(words(animals, "train.max_steps=1", "train.precision=float32"))
    assert config.data.longest_side_px == 248  # an image is a piece of 180x240 pixels then
    assert config.augment.crop_px == (165, 248)
    assert any("scale: longest side 248 px, in training and in prediction; the smaller objects are" in x for x in lines)
    weights = train_from_config(config, tmp_path / "run")
    model, card = load_weights(weights)
    assert card.longest_side_px == 248
    val_set = open_dataset(animals, "val")
    predictor = Predictor(weights, device="cpu", precision="float32", backend="eager")
    assert predictor.longest_side_px == 248
    assert Predictor(weights, device="cpu", longest_side_px=0).longest_side_px is None
    scores = Scores(val_set.label_set)
    for i in range(2):
        result = predictor(val_set[i].image)
        assert result.classes.shape == (400, 600)
        scores.add(result.classes, val_set[i].target, val_set.names[i])
    assert card.scores["mean_iou"] == pytest.approx(scores.mean_iou, abs=1e-3)  # rounding of the folded model
    float32 = choose_device("cpu", "float32")
    assert evaluate(model, val_set, float32, longest_side_px=248).mean_iou == pytest.approx(card.scores["mean_iou"])
    assert evaluate(model, val_set, float32).counts.tolist() != scores.counts.tolist()


def test_scenes_of_small_objects_and_given_sizes_keep_their_scale(animals: Path) -> None:
    assert chosen_config(words(animals, "augment.crop_px=[64,64]"))[0].data.longest_side_px is None
    assert chosen_config(words(animals, "data.longest_side_px=100"))[0].data.longest_side_px == 100
    assert chosen_config(words(animals, "data.longest_side_px=100"))[0].augment.crop_px == (67, 100)
    for path in sorted((animals / "labels").rglob("*.png")):
        target = np.zeros((400, 600), np.uint8)
        target[::40, :] = 1
        target[:, ::30] = 1  # a fence: areas of 29x39 pixels between
        Image.fromarray(target).save(path)
    assert chosen_config(words(animals))[0].data.longest_side_px is None


def test_minutes_plan_the_schedule(animals: Path, tmp_path: Path) -> None:
    config, out, lines = plan_run(None, words(animals), tmp_path / "run", minutes=30)
    assert out == tmp_path / "run"
    assert config.train.max_steps >= 10
    assert lines[-1].startswith("time: about ")
    with pytest.raises(ConfigError, match="a resumed run has its schedule"):
        plan_run(None, words(animals), tmp_path / "run", minutes=5, resume=True)


def test_short_minutes_plan_smaller_images(animals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def times(config: Config, *, roughly: bool = False) -> Times:
        return Times(math.prod(config.augment.crop_px or ()) / 20000, 6.0, 10.0, 4.0, 20)

    monkeypatch.setattr(planning, "measure_times", times)
    tried: list[object] = []
    monkeypatch.setattr("segnet.training.trial.try_starts", lambda *given: tried.append(given))
    quick, _, lines = plan_run(None, words(animals), tmp_path / "quick", minutes=2)
    assert (quick.data.longest_side_px, quick.augment.crop_px) == (144, (96, 144))
    assert quick.train.max_steps == pytest.approx(104, abs=8)  # the seconds that planning has taken are subtracted
    assert any("the time is short" in line for line in lines)
    free = [word for word in words(animals) if not word.startswith("model")]
    plan_run(None, free, tmp_path / "free", minutes=2)
    assert not tried  # there is no time for trials
    plan_run(None, free, tmp_path / "free", minutes=10)
    assert tried
    slow, _, _ = plan_run(None, words(animals), tmp_path / "slow", minutes=10)
    assert (slow.data.longest_side_px, slow.train.max_steps) == (248, pytest.approx(266, abs=8))
    given, _, _ = plan_run("street", ["train.max_steps=99"], tmp_path / "recipe", minutes=2)
    assert given.data.longest_side_px is None


def test_processes_measure_nothing(animals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    _, _, lines = plan_run(None, words(animals), tmp_path)
    assert not any(line.startswith("time") for line in lines)
    with pytest.raises(ConfigError, match="is measured in one process"):
        plan_run(None, words(animals), tmp_path, minutes=5)


def test_a_folder_that_is_taken_is_told_before_anything_is_measured(animals: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"holds a run already; add --resume \(resume=True\)"):
        plan_run(None, words(animals), tmp_path)


def test_a_trial_is_made_where_no_weights_know_a_class(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def try_starts(configs: list[tuple[Start | None, object]], num_steps: int, limit_s: float) -> Tried:
        tried.append(([start.name if start else None for start, _ in configs], num_steps, limit_s))
        return Tried(None, "start: none was best")

    monkeypatch.setattr("segnet.training.trial.try_starts", try_starts)
    start = Start("segnet-basic-camvid", "segnet-basic", "mean_std", ("road",))
    imagenet = Start("torchvision", "segnet", "mean_std", (), is_vgg16=True)
    monkeypatch.setattr(run_context, "starts_at_hand", lambda: [start])
    monkeypatch.setattr(run_context, "starts_to_try", lambda: [start, imagenet])
    free = [word for word in words(animals) if not word.startswith("model")]
    config, lines = chosen_config(free, try_out=True)
    assert tried == [([None, "segnet-basic-camvid", "torchvision"], 6, math.inf)]  # a tenth of 200 steps for all
    assert (config.model.start, config.model.init) == ("", "tent")
    assert "start: none was best" in lines
    monkeypatch.setattr(run_context, "starts_to_try", lambda: [start])
    assert "start: none was best; ImageNet's VGG16 is not here" in " ".join(chosen_config(free, try_out=True)[1])
    assert tried.pop()[1] == 10
    assert chosen_config(free)[0].model.start == "segnet-basic-camvid"
    chosen_config(words(animals), try_out=True)  # a model was given
    (animals / "labels.toml").write_text(LABELS.replace("cat", "road"))
    chosen_config(free, try_out=True)  # the weights know the road
    assert len(tried) == 1


def test_starting_weights_say_their_model(animals: Path) -> None:
    free = [word for word in words(animals) if not word.startswith("model")]
    config, _ = chosen_config([*free, "model.start=segnet-basic-camvid"])
    assert (config.model.name, config.model.normalisation) == ("segnet-basic", "mean_std")
    given, _ = chosen_config([*free, "model.start=segnet-basic-camvid", "model.normalisation=lcn"])
    assert (given.model.name, given.model.normalisation) == ("segnet-basic", "lcn")


def test_a_trial_and_all_measurements_count_in_the_minutes(
    animals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, times = [], Times(step_s=0.5, evaluation_s=6.0, scoring_s=10.0, start_s=4.0, steps_per_epoch=20)
    clock = [0.0]

    def try_starts(configs: object, num_steps: int, limit_s: float) -> None:
        limits.append(limit_s)
        clock[0] += 100

    monkeypatch.setattr("segnet.training.trial.try_starts", try_starts)
    monkeypatch.setattr(planning, "measure_times", lambda config, roughly=False: times)
    monkeypatch.setattr(planning.time, "perf_counter", lambda: clock[0])
    start = Start("segnet-basic-camvid", "segnet-basic", "mean_std", ("road",))
    for name in ("starts_at_hand", "starts_to_try"):
        monkeypatch.setattr(run_context, name, lambda: [start])
    free = [word for word in words(animals) if not word.startswith("model")]
    config, _, _ = plan_run(None, free, tmp_path / "run", minutes=5)
    assert limits == [30]  # a tenth of 5 minutes
    assert 0.8 * 200 < times.expected_s(config) <= 200


def test_16_bit_images_get_one_range_that_the_weights_keep(animals: Path, tmp_path: Path) -> None:
    for path in sorted((animals / "images").rglob("*.png")):
        grey = np.asarray(Image.open(path))[..., 0].astype(np.uint16) * 16  # a camera of 12 bits
        Image.fromarray(grey).save(path)
    config, _, lines = plan_run(None, words(animals), tmp_path / "run")
    assert config.data.value_range is not None
    assert config.data.value_range[0] < 20 and 2500 < config.data.value_range[1] < 3500
    assert any("is 0..255 in every image, as in training (data.value_range)" in line for line in lines)
    given = plan_run(None, words(animals, "data.value_range=[0,4095]"), tmp_path / "run")[0]
    assert given.data.value_range == (0, 4095)


def test_a_log_file_gets_a_line_every_so_often(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    file = io.StringIO()
    config = load_config(None, words(tiny_camvid, "train.epochs=1"))
    train_from_config(config, tmp_path, console=Console(file=file, width=80))
    lines = [line for line in file.getvalue().splitlines() if " of 3, loss " in line]
    assert [line.split(",")[0] for line in lines] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert all("images/s" in line and line.endswith(" left") for line in lines)
