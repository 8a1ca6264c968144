"""`fit` trains a module and datasets of other packages, shows callbacks its moments, and refuses what fails."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from safetensors.torch import load_file, load_model
from torch import Tensor, nn
from torch.utils.data import DataLoader

import segnet
from segnet.config import Augmentation, FitConfig, LossSettings, TrainSettings
from segnet.device import choose_device
from segnet.errors import (
    CallbackError,
    ConfigError,
    DataError,
    LabelError,
    NonFiniteError,
    SegNetError,
    ShapeError,
    WeightsError,
)  # fmt: skip
from segnet.training.callbacks import Callback, EarlyStopping
from segnet.training.checkpoint import load_checkpoint
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config
from segnet.training.train import fit
from segnet.weights.file import load_weights, read_card

SIZE = (12, 16)


class Tiny(nn.Module):
    """Two convolutions of nobody's package."""

    def __init__(self, num_classes: int = 3, in_channels: int = 3, norm: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.last = nn.Conv2d(8, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(F.relu(self.norm(self.first(image))))


class Squares(torch.utils.data.Dataset[Any]):
    """Float images and long targets: a red, a green and a blue area with noise."""

    def __init__(self, count: int = 6, seed: int = 0, channels: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.targets = np.zeros((count, *SIZE), np.int64)
        for target in self.targets:
            target[: rng.integers(3, 9)] = 1
            target[:, : rng.integers(3, 9)] = 2
        colours = np.eye(3, channels) * 0.8
        self.images = (colours[self.targets] + rng.uniform(0, 0.2, (count, *SIZE, channels))).astype(np.float32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1), torch.from_numpy(self.targets[index])


def settings(**train: Any) -> FitConfig:
    base: dict[str, Any] = {
        "epochs": 2, "batch_size": 2, "lr": 0.05, "device": "cpu", "precision": "float32", "optimiser": "adamw",
    }  # fmt: skip
    return FitConfig(train=TrainSettings(**{**base, **train}))


def model(seed: int = 0, **more: Any) -> Tiny:
    torch.manual_seed(seed)
    return Tiny(**more)


def train(out: Path, config: FitConfig, *callbacks: Callback, **more: Any) -> Path:
    return fit(model(), Squares(), Squares(2, seed=1), config, callbacks, out=out, classes=3, **more)


class Watch(Callback):
    """Notes every moment."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.losses: list[float] = []
        self.kept = 0

    def on_start(self, moment: Any) -> None:
        self.seen.append(("start", moment.step, moment.num_steps, moment.settings["train"]["lr"]))

    def on_step(self, moment: Any) -> None:
        self.seen.append(("step", moment.step, round(moment.epoch, 3), moment.lr))
        self.losses.append(moment.loss)

    def on_evaluation(self, moment: Any) -> None:
        self.seen.append(("evaluation", moment.step, moment.is_best, moment.weights.is_file()))
        self.score = moment.scores.mean_iou

    def on_checkpoint(self, moment: Any) -> None:
        self.seen.append(("checkpoint", moment.step, load_checkpoint(moment.path)["step"]))

    def on_end(self, moment: Any) -> None:
        self.seen.append(("end", moment.step, moment.finished, moment.reason))

    def state_dict(self) -> dict[str, Any]:
        return {"kept": len(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.kept = state["kept"]


# --------------------------------------------------------------------------------------- other people's model and data


def test_a_module_and_a_dataset_of_others_learn_and_callbacks_see_every_moment(tmp_path: Path) -> None:
    watch, own = Watch(), model()
    config = settings(epochs=8)
    weights = fit(own, Squares(), Squares(2, seed=1), config, [watch], out=tmp_path, classes=("sky", "road", "tree"))
    assert weights == tmp_path / "best.safetensors"
    assert watch.seen[:7] == [
        ("start", 0, 24, 0.05), ("step", 1, 0.333, 0.05), ("step", 2, 0.667, 0.05), ("step", 3, 1.0, 0.05),
        ("evaluation", 3, True, True), ("checkpoint", 3, 3), ("step", 4, 1.333, 0.05),
    ]  # fmt: skip
    assert watch.seen[-2:] == [("checkpoint", 24, 24), ("end", 24, True, "all steps were taken")]
    assert watch.losses[-1] < 0.3 * watch.losses[0]
    card = read_card(weights)
    assert (card.model, card.label_set.names, card.in_channels) == ("Tiny", ("sky", "road", "tree"), 3)
    assert card.scores["mean_iou"] > 0.8 and card.scores["boundary_f1"] > 0.3
    assert "lr = 0.05" in card.recipe
    fresh = Tiny()
    load_model(fresh, weights)
    assert segnet.evaluate(fresh, Squares(2, seed=1), "cpu", classes=3).mean_iou == card.scores["mean_iou"]
    with pytest.raises(WeightsError, match=r"unknown model 'Tiny'.*load_model\(module, "):
        load_weights(weights)
    predictor = segnet.Predictor(fresh, card.label_set, device="cpu")
    assert predictor(np.zeros((9, 7, 3), np.uint8)).classes.shape == (9, 7)
    assert not own.training or own.first.weight.requires_grad  # the caller's module is the one that was trained
    assert not torch.equal(own.first.weight, model().first.weight)


def test_a_model_of_this_package_is_opened_by_its_file(tiny_camvid: Path, tmp_path: Path) -> None:
    sets = [segnet.open_dataset(tiny_camvid, split) for split in ("train", "val")]
    own = segnet.create_model("enet", 11)
    weights = fit(own, *sets, settings(epochs=1), out=tmp_path)
    loaded, card = load_weights(weights)
    assert card.model == "enet" and card.label_set.name == "camvid-11"
    scores = segnet.evaluate(loaded, sets[1], choose_device("cpu", "float32"))  # as `settings` has it
    assert card.scores["boundary_f1"] == scores.boundary_f1  # the file's own scores, not those before rounding
    assert card.scores["mean_iou"] == scores.mean_iou


def test_six_channels_and_a_loss_of_the_caller(tmp_path: Path) -> None:
    called: list[int] = []

    def half(logits: Tensor, target: Tensor) -> Tensor:
        called.append(1)
        return 0.5 * F.cross_entropy(logits, target)

    plain, own = Watch(), Watch()
    sets = Squares(channels=6), Squares(2, channels=6)
    config = settings(optimiser="sgd", epochs=1)
    fit(model(in_channels=6), *sets, config, [plain], out=tmp_path / "a", classes=3)
    fit(model(in_channels=6), *sets, config, [own], out=tmp_path / "b", classes=3, loss=half)
    assert len(called) == 3
    assert own.losses[0] == pytest.approx(plain.losses[0] / 2)
    assert read_card(tmp_path / "a" / "best.safetensors").in_channels == 6
    with pytest.raises(ShapeError, match=r"loss: expected a scalar tensor, got a tensor \(2, 12, 16\)"):
        fit(
            model(), Squares(), Squares(), config, out=tmp_path / "c", classes=3,
            loss=lambda x, y: F.cross_entropy(x, y, reduction="none"),
        )  # fmt: skip


def test_a_transform_of_others_acts_on_training_samples_only(tmp_path: Path) -> None:
    sizes: list[tuple[int, ...]] = []

    def cut(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(tuple(image.shape))
        return image[:, :8, :8], target[:8, :8]

    train(tmp_path / "a", settings(epochs=1), transform=cut)
    assert sizes == [(3, *SIZE)] * 6
    with pytest.raises(ShapeError, match=r"image .*and target .* differ in size; a transform that changes the image"):
        train(tmp_path / "b", settings(epochs=1), transform=lambda image, target: (image[:, :8, :8], target))


# ---------------------------------------------------------------------------------------------------------- the steps


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    """Without BN, two batches of one give the gradients of a batch of two, though they label different shares."""

    class Partly(Squares):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            image, target = super().__getitem__(index)
            target = target.clone()
            target[: 2 * index] = 255
            return image, target

    watches = []
    for name, batch_size, accumulate in (("one", 2, 1), ("two", 1, 2)):
        watches.append(Watch())
        config = settings(optimiser="sgd", batch_size=batch_size, accumulate=accumulate)
        weighted = config.model_copy(
            update={"loss": LossSettings(class_weights="median_frequency", normalise_by="weights")}
        )
        fit(model(), Partly(), Squares(2), weighted, watches[-1:], out=tmp_path / name, classes=3)
    assert [s for s in watches[0].seen if s[0] == "step"] == [s for s in watches[1].seen if s[0] == "step"]
    assert watches[0].losses == pytest.approx(watches[1].losses, rel=1e-5)
    one, two = (load_file(tmp_path / name / "best.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-4, atol=1e-6)
    with pytest.raises(DataError, match=r"6 images, fewer than a batch of 4 x 2 \(train.accumulate\)"):
        train(tmp_path / "three", settings(batch_size=4, accumulate=2))


def test_gradients_are_scaled_down_to_the_norm(tmp_path: Path) -> None:
    before = model()
    fit(model_ := model(), Squares(), Squares(2), settings(optimiser="sgd", lr=1.0, momentum=0.0, weight_decay=0.0,
        clip_grad_norm=0.01, max_steps=1), out=tmp_path, classes=3)  # fmt: skip
    moved = torch.cat([(a - b).flatten() for a, b in zip(model_.parameters(), before.parameters(), strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_focal_setting_reaches_the_loss(tmp_path: Path) -> None:
    watches = [Watch(), Watch()]
    for gamma, watch in zip((0.0, 2.0), watches, strict=True):
        config = settings(max_steps=1).model_copy(update={"loss": LossSettings(focal_gamma=gamma)})
        fit(model(), Squares(), Squares(2), config, [watch], out=tmp_path / str(gamma), classes=3)
    assert watches[1].losses[0] < 0.7 * watches[0].losses[0]


def test_frozen_parameters_stay_and_a_missing_encoder_is_told(tmp_path: Path) -> None:
    own = model()
    own.first.requires_grad_(False)
    fit(own, Squares(), Squares(2), settings(epochs=1), out=tmp_path / "a", classes=3)
    assert torch.equal(own.first.weight, model().first.weight)
    assert not torch.equal(own.last.weight, model().last.weight)
    with pytest.raises(ConfigError, match="Tiny has no submodule `encoder`"):
        train(tmp_path / "b", settings(encoder_lr_factor=0.1))
    own.requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter that requires a gradient"):
        fit(own, Squares(), Squares(2), settings(), out=tmp_path / "c", classes=3)


# --------------------------------------------------------------------------------------- ending, resuming, going on


def test_early_stopping_ends_the_run_and_a_resumed_one_stays_ended(tmp_path: Path) -> None:
    console = Console(record=True, file=io.StringIO(), width=300)
    config = settings(epochs=9, lr=1e-12, early_stopping=2)  # nothing is learnt, so no score ever rises
    weights, watch = train(tmp_path, config, console=console), Watch()
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 9  # the first evaluation and two without a gain
    assert "ended after step 9 of 27: mean_iou has not risen above" in console.export_text()
    before = weights.read_bytes()
    assert train(tmp_path, config, watch, resume=True).read_bytes() == before
    assert [seen[0] for seen in watch.seen] == ["start", "end"]
    train(tmp_path, settings(epochs=9, lr=1e-12, early_stopping=3), watch, resume=True)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 12  # one more without a gain


def test_early_stopping_counts_on_after_an_interruption(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_step(self, moment: Any) -> None:
            if moment.step == 7:
                raise OSError("stop")

    config = settings(epochs=9, lr=1e-12)
    train(tmp_path / "whole", config, EarlyStopping(3))
    with pytest.raises(CallbackError):
        train(tmp_path / "parts", config, EarlyStopping(3), Stop())
    stopping = EarlyStopping(3)
    train(tmp_path / "parts", config, stopping, resume=True)
    steps = [load_checkpoint(tmp_path / run / "checkpoint.pt")["step"] for run in ("whole", "parts")]
    assert steps == [12, 12]
    assert stopping.waited == 3
    with pytest.raises(ConfigError, match="patience 0"):
        EarlyStopping(0)


def test_a_callback_may_end_the_run_after_any_step_and_the_weights_are_evaluated(tmp_path: Path) -> None:
    class End(Callback):
        def on_step(self, moment: Any) -> str | None:
            return "enough" if moment.step == 2 else None

    watch = Watch()
    weights = train(tmp_path, settings(), watch, End())
    assert watch.seen[-3:] == [("evaluation", 2, True, True), ("checkpoint", 2, 2), ("end", 2, True, "enough")]
    assert weights.is_file()


@pytest.mark.parametrize("moment", ["on_start", "on_step", "on_evaluation", "on_checkpoint", "on_end"])
def test_a_callback_that_raises_is_named_once_the_run_is_saved(tmp_path: Path, moment: str) -> None:
    whole = load_file(train(tmp_path / "whole", settings()))

    def fail(self: Callback, moment: Any) -> None:
        raise ZeroDivisionError("its own mistake")

    broken, watch = type("Broken", (Callback,), {moment: fail})(), Watch()
    with pytest.raises(
        CallbackError, match=rf"the callback Broken\.{moment} raised ZeroDivisionError at step \d+: its "
    ):
        train(tmp_path / "parts", settings(), broken, watch)
    step = {"on_start": 0, "on_step": 1, "on_evaluation": 3, "on_checkpoint": 3, "on_end": 6}[moment]
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == step
    assert watch.seen[-1][0] == "end"  # the others are told
    resumed = load_file(train(tmp_path / "parts", settings(), resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_states_of_callbacks_are_kept_by_name(tmp_path: Path) -> None:
    train(tmp_path, settings(epochs=1), Watch(), EarlyStopping(9))
    watch = Watch()
    train(tmp_path, settings(epochs=1), EarlyStopping(9), watch, resume=True)
    assert watch.kept == 5  # start, three steps, evaluation
    with pytest.raises(ConfigError, match=r"objects of a class that extends segnet\.Callback"):
        train(tmp_path / "b", settings(), Watch)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "words"), [("cosine", "cosine schedule now spans 9 steps instead of 6"), ("constant", "")]
)
def test_a_run_goes_on_for_more_epochs_and_says_what_becomes_of_the_schedule(
    tmp_path: Path, schedule: str, words: str
) -> None:
    train(tmp_path, settings(schedule=schedule))
    console, watch = Console(record=True, file=io.StringIO(), width=400), Watch()
    train(tmp_path, settings(schedule=schedule, epochs=3), watch, resume=True, console=console)
    text = console.export_text()
    assert "resumed at step 6 with train.epochs 3 instead of 2" in text
    assert words in text and ("schedule" in text) == bool(words)
    assert [s[1] for s in watch.seen if s[0] == "step"] == [7, 8, 9]
    with pytest.raises(ConfigError, match=r"train\.epochs was 3, now 2"):
        train(tmp_path, settings(schedule=schedule), resume=True)


def test_more_epochs_at_a_constant_rate_are_a_longer_run(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", settings(epochs=3, keep="last"))
    train(tmp_path / "parts", settings(epochs=2, keep="last"))
    parts = train(tmp_path / "parts", settings(epochs=3, keep="last"), resume=True)
    assert all(torch.equal(value, load_file(parts)[name]) for name, value in load_file(whole).items())


def test_the_number_of_steps_is_limited(tmp_path: Path) -> None:
    train(tmp_path, settings(max_steps=4, epochs=9))
    assert [r["step"] for r in read_log(tmp_path / "log.jsonl")] == [3, 4]
    train(tmp_path, settings(max_steps=0, epochs=9), resume=True)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 27


def test_a_run_of_fit_and_one_of_a_recipe_are_told_apart(tiny_camvid: Path, tmp_path: Path) -> None:
    train(tmp_path, settings(epochs=1))
    recipe = segnet.load_config(None, [f"data.path={str(tiny_camvid)!r}"])
    with pytest.raises(ConfigError, match="holds a run of `fit`, not of `segnet train`"):
        train_from_config(recipe, tmp_path, resume=True)
    with pytest.raises(ConfigError, match="expected a FitConfig, got Config"):
        train(tmp_path / "b", recipe)  # type: ignore[arg-type]


def test_another_model_does_not_go_on(tmp_path: Path) -> None:
    train(tmp_path, settings())
    with pytest.raises(WeightsError, match="the checkpoint is of another model than this Tiny"):
        fit(model(norm=True), Squares(), Squares(2), settings(), out=tmp_path, classes=3, resume=True)


# ----------------------------------------------------------------------------------------------------------- bad input


class Other(nn.Module):
    """Gives what it is told to."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.tiny, self.change = Tiny(), change

    def forward(self, image: Tensor) -> Any:
        return self.change(self.tiny(image))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: {"out": x, "aux": x}, r"got dict with out, aux; wrap the model"),
        (lambda x: x.argmax(1), r"got \(2, 12, 16\); wrap the model"),
        (lambda x: x[:, :, ::2, ::2], r"got \(2, 3, 6, 8\); resize them in the model: F.interpolate"),
        (lambda x: x[:, :2], r"got \(2, 2, 12, 16\): 2 classes, the dataset has 3"),
    ],
)
def test_a_module_that_gives_no_logits(tmp_path: Path, change: Any, words: str) -> None:
    expected = r"Other: expected logits \(N, 3, H, W\) = \(2, 3, 12, 16\) at the size of the image .*"
    with pytest.raises(ShapeError, match=expected + words):
        fit(Other(change), Squares(), Squares(2), settings(), out=tmp_path, classes=3)


def test_channels_that_do_not_fit_are_both_told(tmp_path: Path) -> None:
    words = r"takes images of 3 channels, got 6; build it for 6 channels .*carry_first_layer=True"
    with pytest.raises(ShapeError, match="Tiny: " + words):
        fit(model(), Squares(channels=6), Squares(channels=6), settings(), out=tmp_path / "a", classes=3)
    with pytest.raises(ShapeError, match="UNet: takes images of 3 channels, got 1"):  # else it would be broadcast
        segnet.evaluate(segnet.create_model("unet", 3), Squares(channels=1), classes=3)


class Items(Squares):
    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def __getitem__(self, index: int) -> Any:
        return self.change(*super().__getitem__(index))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda x, y: {"pixel_values": x, "labels": y},
            DataError,
            r"keys image and target \(or mask\), got pixel_values, labels",
        ),
        (lambda x, y: (x, y, y), DataError, "got 3 values"),
        (lambda x, y: (x[:, :5], y), ShapeError, "differ in size"),
        (lambda x, y: (x, y[None, None]), ShapeError, r"expected a target \(H, W\)"),
        (lambda x, y: (x, y.float()), LabelError, "integer class ids"),
        (lambda x, y: (x, y + 1), LabelError, r"class id 3; expected 0\.\.2"),
        (lambda x, y: (x * torch.nan, y), NonFiniteError, "diverged at step 0 on sample"),
    ],
)
def test_a_dataset_of_another_form(tmp_path: Path, change: Any, error: type[SegNetError], words: str) -> None:
    with pytest.raises(error, match=words):
        fit(model(), Items(change), Squares(2), settings(), out=tmp_path, classes=3)
    assert not (tmp_path / "best.safetensors").exists()


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"DataLoader.*pass its dataset"):
        fit(model(), DataLoader(Squares()), Squares(2), settings(), out=tmp_path, classes=3)
    with pytest.raises(DataError, match="holds no sample"):
        fit(model(), [], Squares(2), settings(), out=tmp_path, classes=3)
    with pytest.raises(LabelError, match="pass classes="):
        fit(model(), Squares(), Squares(2), settings(), out=tmp_path)
    unlabelled = Items(lambda x, y: (x, torch.full_like(y, 255)))
    with pytest.raises(LabelError, match=r"mean_iou is undefined: no labelled pixel in the validation images"):
        fit(model(), Squares(), unlabelled, settings(), out=tmp_path, classes=3)


def test_sizes_that_differ_need_a_crop(tmp_path: Path) -> None:
    wide = [(torch.rand(3, 12, 16 + i), torch.zeros(12, 16 + i, dtype=torch.int64)) for i in range(4)]
    with pytest.raises(ShapeError, match=r"a batch needs one size; set augment\.crop_px, or a batch size of 1"):
        fit(model(), wide, wide, settings(), out=tmp_path / "a", classes=3)
    config = settings(epochs=1).model_copy(update={"augment": Augmentation(crop_px=(8, 8))})
    fit(model(), wide, wide, config, out=tmp_path / "b", classes=3)


def test_a_run_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"diverged at step \d+.*lower train.lr \(it was 1e\+30\), set train.clip"):
        train(tmp_path / "a", settings(optimiser="sgd", lr=1e30))
    config = settings(optimiser="sgd", lr=1e7, max_steps=1, momentum=0.0)  # finite, but beyond what float16 stores
    with pytest.raises(NonFiniteError, match=r"diverged at step 1: .* has reached .*; lower train.lr"):
        train(tmp_path / "b", config)


def test_low_memory_is_refused_where_it_would_do_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.low_memory: .* got Tiny without one; leave it out"):
        train(tmp_path, settings(low_memory=True))


def test_the_number_of_threads_holds_for_the_run_only(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    class See(Callback):
        def on_step(self, moment: Any) -> None:
            seen.append(torch.get_num_threads())

    train(tmp_path, settings(epochs=1, threads=before + 1), See())
    assert seen == [before + 1] * 3
    assert torch.get_num_threads() == before
