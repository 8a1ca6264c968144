import tomllib
from pathlib import Path
from typing import get_args

import pytest

from segnet.cli.options import device_name, precision_name
from segnet.config import (
    Config,
    PrecisionName,
    PretrainConfig,
    load_config,
    load_pretrain_config,
    recipe_names,
)
from segnet.errors import ConfigError


def test_defaults_without_a_recipe() -> None:
    assert load_config() == Config()


def test_a_recipe_stands_above_the_defaults_and_set_above_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[train]\nlr = 0.5\nepochs = 7\n[model]\nname = "segnet"\n')
    config = load_config(str(recipe), ["train.lr=0.25", "augment.crop_px=[8, 9]", "model.normalisation=lrn"])
    assert (config.train.lr, config.train.epochs, config.train.batch_size) == (0.25, 7, Config().train.batch_size)
    assert config.augment.crop_px == (8, 9)
    assert (config.model.name, config.model.normalisation) == ("segnet", "lrn")


def test_the_last_override_wins() -> None:
    assert load_config(None, ["train.seed=1", "train.seed=2"]).train.seed == 2


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_ships_is_valid_and_says_its_command(name: str) -> None:
    config = load_config(name)
    text = (Path(__file__).parents[2] / "src/segnet/recipes" / f"{name}.toml").read_text()
    assert text.startswith("#")
    assert f"segnet train --recipe {name}" in text
    assert config.train.epochs >= 1


def test_toml_round_trip(tmp_path: Path) -> None:
    config = load_config("street", ["augment.crop_px=[24, 32]", 'data.path="a \\"quoted\\" folder"'])
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    assert load_config(str(path)) == config


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.learning_rate=1"], ["train.learning_rate"]),
        (["train.epoch=3"], ["train.epoch", "did you mean 'epochs'?"]),
        (["trian.lr=3"], ["unknown section 'trian'", "did you mean 'train'?"]),
        (["train.lr"], ["section.key=value"]),
        (["lr=3"], ["section.key=value"]),
        (["train.lr=-1"], ["train.lr", "greater than 0", "-1"]),
        (["train.optimiser=adam"], ["train.optimiser", "'sgd' or 'adamw'", "adam"]),
        (["model.vgg16=oxford", "model.start=x"], ["model.vgg16 and model.start"]),
    ],
)
def test_errors_say_what_and_where(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides)
    for word in words:
        assert word in str(caught.value)


def test_the_papers_recipes_draw_as_he_and_the_others_begin_with_tents() -> None:
    init = {name: load_config(name).model.init for name in recipe_names()}
    assert load_config().model.init == "he"
    assert {name for name, value in init.items() if value == "he"} == {"segnet-paper", "segnet-basic-paper"}


def test_an_unknown_initialisation_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"model\.init: Input should be 'he' or 'tent', got 'tents'"):
        load_config(None, ["model.init=tents"])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'street'"):
        load_config("streets")


def test_broken_toml_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[train\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(str(path))


def test_every_data_format_can_be_named_in_a_recipe() -> None:
    from segnet.data import DATA_FORMATS

    for name in (*DATA_FORMATS, "auto"):
        assert load_config(None, [f"data.format={name}"]).data.format == name


def test_settings_of_a_run_without_labels() -> None:
    config = load_pretrain_config(["train.layerwise=false", "model.normalisation=mean_std", "data.path=images"])
    assert (config.train.layerwise, config.model.normalisation, config.data.path) == (False, "mean_std", "images")
    assert PretrainConfig.model_validate(tomllib.loads(config.to_toml())) == config
    assert load_pretrain_config() == PretrainConfig()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.layrwise=true"], ["unknown setting 'train.layrwise'", "did you mean 'layerwise'?"]),
        (["loss.dice=1"], ["unknown section 'loss'", "data, model, train"]),
        (["model.normalisation=caffe_bgr"], ["model.normalisation", "'lcn' or 'mean_std'"]),
    ],
)
def test_what_has_no_meaning_without_labels_is_refused(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pretrain_config(overrides)
    for word in words:
        assert word in str(caught.value)


def test_changes_name_each_setting_that_differs() -> None:
    before = load_config(None, ["train.lr=0.5", "loss.dice=1", "data.path=here", "train.precision=float16"])
    after = load_config(None, ["train.lr=0.25", "loss.dice=1", "data.path=there", "train.precision=float32"])
    assert after.changes(before) == ["train.lr was 0.5, now 0.25", "train.precision was 'float16', now 'float32'"]
    assert after.changes(after) == []


@pytest.mark.parametrize("kind", [Config, PretrainConfig])
def test_what_is_free_to_change_exists(kind: type[Config | PretrainConfig]) -> None:
    settings = {(section, key) for section, values in kind().model_dump().items() for key in values}
    assert kind.free_to_change < settings


def test_the_command_line_knows_every_device_and_precision() -> None:
    for name in ("auto", "cpu", "cuda", "cuda:1", "mps"):
        assert device_name(name) == load_config(None, [f"train.device={name}"]).train.device == name
    for name in ("gpu", "cuda:", "cuda:x", "cpu:0"):
        with pytest.raises(ConfigError, match=f"unknown device '{name}'"):
            device_name(name)
        with pytest.raises(ConfigError, match=r"train\.device"):
            load_config(None, [f"train.device={name}"])
    assert [precision_name(name) for name in get_args(PrecisionName)] == ["auto", "float32", "bfloat16", "float16"]
