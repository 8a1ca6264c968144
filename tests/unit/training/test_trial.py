"""A schedule for a given time, the expected time, and the start that learns best."""

from pathlib import Path

import pytest
import torch

from segnet.config import Config, load_config
from segnet.errors import ConfigError
from segnet.training import trial
from segnet.training.auto_config import Start
from segnet.training.progress import duration
from segnet.training.trial import Times, measure_times, pixels_within, try_starts, within_minutes

TIMES = Times(step_s=0.5, evaluation_s=6.0, scoring_s=10.0, start_s=4.0, steps_per_epoch=20)


def settings(data: Path, *more: str) -> Config:
    base = [f"data.path={str(data)!r}", "model.name=enet", "model.normalisation=mean_std", "data.workers=0"]
    return load_config(None, [*base, "train.batch_size=2", "train.device=cpu", "train.precision=float32", *more])


def test_the_expected_time_is_the_sum_of_its_parts() -> None:
    config = Config().model_copy(update={"train": Config().train.model_copy(update={"epochs": 4, "evaluate_every": 2})})
    assert TIMES.expected_s(config) == 4 + 80 * 0.5 + 2 * 6 + 2 * 10
    assert TIMES.line(config).startswith("time: about 76 s: 80 steps of 0.5 s and 2 evaluations of 6 s")


@pytest.mark.parametrize("minutes", [1, 2, 5, 30])
def test_a_schedule_fits_into_the_time(minutes: float) -> None:
    planned = within_minutes(Config(), TIMES, minutes)
    assert 0.8 * 60 * minutes < TIMES.expected_s(planned) <= 60 * minutes
    assert planned.train.epochs * 20 >= planned.train.max_steps
    assert planned.train.model_dump(exclude={"epochs", "max_steps", "evaluate_every"}) == Config().train.model_dump(
        exclude={"epochs", "max_steps", "evaluate_every"}
    )


def test_where_few_steps_fit_images_have_fewer_pixels() -> None:
    crop = settings(Path("nowhere"), "augment.crop_px=[200,240]")
    assert pixels_within(crop, TIMES, 2) is None  # 144 steps
    assert pixels_within(crop, TIMES, 1) == 48000 * 60 // 100
    assert pixels_within(crop, TIMES, 1, spent_s=100) == 72 * 96
    assert pixels_within(settings(Path("nowhere")), TIMES, 1) is None


def test_a_time_that_is_too_short_says_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"--minutes 0\.5: .*10 steps and the scores take 35 s .*allow at least 1"):
        within_minutes(Config(), TIMES, 0.5)


def test_times_are_measured_and_nothing_is_written(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    times = measure_times(settings(tiny_camvid, "loss.class_weights=median_frequency"))
    assert torch.rand(()) == expected
    assert times.steps_per_epoch == 3
    assert 0 < times.step_s < 60 and 0 < times.evaluation_s <= times.scoring_s
    assert times.start_s > 0
    assert measure_times(settings(tiny_camvid)).start_s == 0
    assert list(tmp_path.iterdir()) == []


def test_the_start_with_the_lowest_loss_wins(tiny_camvid: Path) -> None:
    """One that learns against one whose learning rate is nearly nothing."""
    known = Start("known", "enet", "mean_std", ("a",))
    learns = settings(tiny_camvid, "train.optimiser=adamw", "train.lr=0.01")
    stands = settings(tiny_camvid, "train.optimiser=adamw", "train.lr=1e-9")
    tried = try_starts([(None, stands), (known, learns)], 6)
    assert tried is not None and tried.start == known
    assert tried.line.startswith("start: 6 steps from each; cross entropy on validation images: no weights ")
    tried = try_starts([(None, learns), (known, stands)], 20, limit_s=1e4)
    assert tried is not None and tried.start is None and tried.line.startswith("start: 20 steps")


def test_a_trial_takes_no_more_than_its_time(tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = [(None, settings(tiny_camvid)), (Start("known", "enet", "mean_std", ("a",)), settings(tiny_camvid))]
    assert try_starts(starts, 5) is None
    monkeypatch.setattr(trial, "_step_s", lambda config: 0.5)
    assert try_starts(starts, 20, limit_s=5.9) is None
    tried = try_starts(starts, 20, limit_s=6.1)
    assert tried is not None and tried.line.startswith("start: 6 steps from each")


def test_a_loss_that_is_no_number_loses(monkeypatch: pytest.MonkeyPatch, tiny_camvid: Path) -> None:
    model = torch.nn.Conv2d(3, 11, 1)
    torch.nn.init.constant_(model.bias, float("nan"))  # type: ignore[arg-type]
    from segnet.data import open_dataset
    from segnet.device import choose_device

    loss = trial._val_loss(model, open_dataset(tiny_camvid, "val"), choose_device("cpu", "float32"))
    assert loss == float("inf")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.1, "1 s"), (40, "40 s"), (600, "10 min"), (3900, "65 min"), (7500, "2 h 05 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
