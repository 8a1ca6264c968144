"""From defaults, a recipe and overrides to the settings of a run; every problem in one line."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from segnet.config.runs import Config, PretrainConfig, Settings
from segnet.errors import ConfigError, nearest
from segnet.io.text import parse_toml, read_text

_AnySettings = TypeVar("_AnySettings", bound=Settings)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship with the package."""
    folder = resources.files("segnet") / "recipes"
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml")))


def load_config(recipe: str | None = None, overrides: list[str] | None = None) -> Config:
    """Resolves the settings of a run.

    Args:
        recipe: name of a recipe that ships, or path of a TOML file; None for the defaults alone.
        overrides: `section.key=value`, the value in TOML (a bare word counts as a string); the last one wins.

    Raises:
        ConfigError: unknown recipe, section or key (names the nearest), or a value that does not fit.
    """
    return _resolve(Config, _read_recipe(recipe) if recipe else {}, overrides)


def load_pretrain_config(overrides: list[str] | None = None) -> PretrainConfig:
    """Resolves the settings of a run without labels.

    Args:
        overrides: as in `load_config`.

    Raises:
        ConfigError: unknown section or key (names the nearest), or a value that does not fit.
    """
    return _resolve(PretrainConfig, {}, overrides)


def _resolve(kind: type[_AnySettings], settings: dict[str, Any], overrides: list[str] | None) -> _AnySettings:
    for override in overrides or []:
        _apply(override, settings)
    try:
        return kind.model_validate(settings)
    except ValidationError as cause:
        raise ConfigError("; ".join(_in_words(kind, dict(e)) for e in cause.errors())) from None


def _read_recipe(recipe: str) -> dict[str, Any]:
    if recipe in recipe_names():
        text = (resources.files("segnet") / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    elif Path(recipe).is_file():
        text = read_text(Path(recipe))
    else:
        raise ConfigError(f"no recipe or file '{recipe}'; {nearest(recipe, recipe_names())}")
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as cause:
        raise ConfigError(f"recipe {recipe} is not valid TOML: {cause}") from None


def _apply(override: str, settings: dict[str, Any]) -> None:
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        raise ConfigError(f"--set {override}: expected section.key=value, for example train.lr=0.05")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    values = settings.setdefault(section, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{section}: expected a section of settings, [{section}], got {values!r}")
    values[name] = value


def _in_words(kind: type[Settings], error: dict[str, Any]) -> str:
    """One line for one problem that pydantic found."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        got = f", got {error['input']!r:.60}" if error["loc"] else ""
        return f"{place}: {error['msg']}{got}".removeprefix(": ").replace("Value error, ", "")
    section = kind.model_fields.get(str(error["loc"][0]))
    if len(error["loc"]) == 1 or section is None or section.annotation is None:
        return f"unknown section '{place}'; {nearest(place, kind.model_fields)}"
    return f"unknown setting '{place}'; {nearest(str(error['loc'][1]), section.annotation.model_fields)}"
