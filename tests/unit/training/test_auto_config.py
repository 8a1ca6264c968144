from dataclasses import replace

import pytest

from segnet.config import Config, load_config
from segnet.training.auto_config import Choice, DataFacts, MachineFacts, Start, Tried, choose_settings

DATA = DataFacts(30, (120, 160), ("background", "road", "boat"))
LAPTOP = MachineFacts("cpu", 2, 16.0)
WORKSTATION = MachineFacts("cpu", 32, 128.0)
GPU = MachineFacts("cuda", 16, 24.0)
BASIC = Start("segnet-basic-camvid", "segnet-basic", "mean_std", ("sky", "road", "car"))
FULL = Start("segnet-camvid", "segnet", "caffe_bgr", ("sky", "road", "car"))


def choose(
    *overrides: str, data: DataFacts = DATA, machine: MachineFacts = LAPTOP, starts: tuple[Start, ...] = (BASIC, FULL)
) -> Choice:
    return choose_settings(load_config(None, list(overrides)), data, machine, starts)


def resolved(choice: Choice, *overrides: str) -> Config:
    chosen = [f"{key}={value!r}".lower() for key, value in choice.settings.items()]
    return load_config(None, [*chosen, *overrides])


def test_two_cores_fine_tune_the_small_model_on_whole_small_images() -> None:
    chosen = choose().settings
    assert (chosen["model.name"], chosen["model.start"]) == ("segnet-basic", "segnet-basic-camvid")
    assert chosen["model.normalisation"] == "mean_std"
    assert chosen["augment.crop_px"] == [120, 160]
    assert (chosen["train.batch_size"], chosen["train.epochs"]) == (4, 86)  # 600 steps, 7 an epoch
    assert chosen["train.evaluate_every"] == 17
    assert chosen["train.lr"] == 1e-3


def test_a_gpu_takes_the_full_model_where_its_weights_are_here_and_fit() -> None:
    chosen = choose(machine=GPU, data=replace(DATA, num_images=800, size_px=(720, 960))).settings
    assert (chosen["model.name"], chosen["model.start"]) == ("segnet", "segnet-camvid")
    assert chosen["model.normalisation"] == "caffe_bgr"
    assert chosen["train.encoder_lr_factor"] == 0.3
    assert chosen["augment.crop_px"] == [360, 480]
    assert chosen["train.batch_size"] == 8  # 16 pieces would take 15 GiB, more than half of 24
    assert choose(machine=GPU, starts=(BASIC,)).settings["model.name"] == "segnet-basic"
    assert choose(machine=replace(GPU, memory_gib=4.0)).settings["model.name"] == "segnet-basic"


def test_a_short_time_makes_images_small_and_the_rate_high() -> None:
    photos = DataFacts(48, (261, 241), ("ground", "leaf"), object_px=40.0)
    assert "data.longest_side_px" not in choose(data=photos).settings  # at leisure nothing is resized

    def in_haste(*overrides: str, data: DataFacts = photos) -> Choice:
        return choose_settings(load_config(None, list(overrides)), data, LAPTOP, (BASIC,), short_px=96 * 128)

    quick = in_haste()
    chosen = quick.settings
    assert (chosen["data.longest_side_px"], chosen["augment.crop_px"]) == (112, [112, 103])
    assert (chosen["model.start"], chosen["train.lr"]) == ("segnet-basic-camvid", 3e-3)
    assert any("scale: longest side 112 px" in line and "the time is short" in line for line in quick.lines)
    assert in_haste(data=replace(photos, object_px=24.0)).settings["data.longest_side_px"] == 128  # not below 12 px
    small = in_haste(data=replace(photos, object_px=12.0)).settings
    assert ("data.longest_side_px" in small, small["augment.crop_px"]) == (False, [112, 104])
    assert in_haste("data.longest_side_px=200").settings["augment.crop_px"] == [112, 104]
    assert "train.lr" not in in_haste("train.lr=0.002").settings


def test_without_weights_it_learns_from_nothing_and_faster() -> None:
    chosen = choose(starts=()).settings
    assert (chosen["model.name"], chosen["model.start"], chosen["train.lr"]) == ("segnet-basic", "", 3e-3)


def test_imagenet_fills_the_encoder_of_the_full_model_alone() -> None:
    tried = Tried(Start("torchvision", "segnet", "mean_std", (), is_vgg16=True), "start: six steps")
    choice = choose_settings(load_config(), DATA, LAPTOP, (BASIC,), tried)
    chosen = choice.settings
    assert (chosen["model.name"], chosen["model.vgg16"], chosen["model.start"]) == ("segnet", "torchvision", "")
    assert (chosen["model.init"], chosen["train.encoder_lr_factor"], chosen["train.lr"]) == ("tent", 0.3, 1e-3)
    assert "started from the weights ImageNet's VGG16 (torchvision); with a new classifier" in " ".join(choice.lines)
    assert resolved(choice).model.vgg16 == "torchvision"


def test_a_decoder_that_no_weights_fill_begins_as_a_tent() -> None:
    assert choose(starts=()).settings["model.init"] == "tent"
    assert choose("model.name=segnet", "model.vgg16=oxford").settings["model.init"] == "tent"
    assert "model.init" not in choose().settings  # it begins from weights
    assert "model.init" not in choose("model.name=unet").settings  # which cannot
    assert "model.init" not in choose("model.init=he", starts=()).settings


@pytest.mark.parametrize("machine", [LAPTOP, WORKSTATION, GPU])
@pytest.mark.parametrize("number", [1, 3, 50, 100_000])
@pytest.mark.parametrize("size_px", [(1, 1), (24, 32), (4000, 3000), (100, 9000)])
def test_whatever_is_chosen_can_be_run(machine: MachineFacts, number: int, size_px: tuple[int, int]) -> None:
    config = resolved(choose(data=replace(DATA, num_images=number, size_px=size_px), machine=machine))
    assert 1 <= config.train.batch_size <= number
    assert 1 <= config.train.evaluate_every <= config.train.epochs <= 200
    piece = config.augment.crop_px
    assert piece is not None and min(piece) >= 1
    assert piece[0] * piece[1] <= 360 * 480


def test_large_images_are_cut_in_their_own_shape_and_that_is_said() -> None:
    choice = choose(data=replace(DATA, size_px=(3000, 4000)))
    assert choice.settings["augment.crop_px"] == [176, 240]
    assert "resized copies may learn better" in choice.lines[2]
    assert "resized copies" not in choose().lines[2]


def test_what_was_given_stays_and_is_built_upon() -> None:
    chosen = choose("train.epochs=3", "train.batch_size=2", "augment.crop_px=[64, 64]", "train.lr=0.5").settings
    assert not {"train.epochs", "train.batch_size", "augment.crop_px", "train.lr"} & set(chosen)
    assert chosen["train.evaluate_every"] == 1
    assert chosen["train.average"] == 0.98


def test_a_model_that_was_given_is_taken_as_given() -> None:
    choice = choose("model.name=unet")
    assert not [key for key in choice.settings if key.startswith("model.")]
    assert choice.lines[1] == "model: unet"
    assert choice.settings["train.lr"] == 3e-3
    assert choose("model.start=mine.safetensors").settings["train.lr"] == 1e-3


def test_the_lines_say_what_the_settings_hold() -> None:
    text = "\n".join(choose("train.lr=0.5").lines)
    for words in (
        "30 images of 120x160 on cpu with 2 cores and 16 GiB",
        "model: segnet-basic, started from the weights segnet-basic-camvid; keeps what it learnt of road "
        "(1 of 3 classes)",
        "crops: 120x160 pixels",
        "batch: 4",
        "86 epochs of 7 steps, adamw, learning rate 0.5, cosine, evaluated every 17 epochs",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("size_px", "object_px", "expected"),
    [
        ((3000, 4000), 1500.0, 240),  # no smaller than a crop of 180x240
        ((512, 512), 96.0, 256),  # objects of 96 px shrink to 48
        ((512, 512), 59.0, None),  # x 0.8 is not worth it
        ((360, 480), 15.0, None),
        ((120, 160), 100.0, None),  # smaller than a crop already
        ((3000, 4000), None, None),
    ],
)
def test_the_scale_follows_the_size_of_the_objects(
    size_px: tuple[int, int], object_px: float | None, expected: int | None
) -> None:
    choice = choose(data=replace(DATA, size_px=size_px, object_px=object_px))
    assert choice.settings.get("data.longest_side_px") == expected
    assert any("scale: " in line for line in choice.lines) == (expected is not None)
    if expected:
        crop = choice.settings["augment.crop_px"]
        assert isinstance(crop, list) and max(crop) <= expected
        assert f"scale: longest side {expected} px, in training and in prediction; the smaller" in "\n".join(
            choice.lines
        )


def test_a_busy_machine_gets_the_threads_that_are_free() -> None:
    assert choose(machine=replace(LAPTOP, load=4.7)).settings["train.threads"] == 1
    assert choose(machine=replace(WORKSTATION, load=20.0)).settings["train.threads"] == 12
    assert "threads: 12, since the load is 20.0" in choose(machine=replace(WORKSTATION, load=20.0)).lines
    assert "train.threads" not in choose(machine=replace(LAPTOP, load=0.4)).settings
    assert "train.threads" not in choose(machine=replace(GPU, load=99.0)).settings
    assert "train.threads" not in choose("train.threads=2", machine=replace(LAPTOP, load=4.7)).settings
