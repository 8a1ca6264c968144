"""CRF parameters in a small TOML file: written by `segnet crf search`, read by every command with `--crf`.

# boundary_f1 0.4321 on 20 images of train, 0.4012 without a CRF
smoothness_weight = 3.0
smoothness_px = 3.0
appearance_weight = 4.0
appearance_px = 49.0
appearance_rgb = 5.0
iterations = 10
"""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from segnet.crf.dense_crf import CRFParameters
from segnet.errors import ConfigError, DataError, nearest
from segnet.io.files import whole_file
from segnet.io.text import parse_toml, read_text


def write_crf(path: Path, parameters: CRFParameters, comments: Sequence[str] = ()) -> None:
    """Writes the file whole or not at all.

    Args:
        path: an existing file is replaced.
        parameters: to write.
        comments: lines at the top, such as the command and the scores.

    Raises:
        DataError: the file cannot be written.
    """
    lines = [f"# {' '.join(comment.split())}" for comment in comments]
    lines += [f"{name} = {value}" for name, value in asdict(parameters).items()]
    with whole_file(path) as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")


def read_crf(path: Path) -> CRFParameters:
    """Reads the file; a parameter that it does not contain keeps its default.

    Raises:
        DataError: no such file, or not readable as text.
        ConfigError: not TOML, an unknown name (names the nearest), or a value that does not fit.
    """
    try:
        found = parse_toml(read_text(path))
    except DataError as cause:
        raise DataError(f"CRF parameters: {cause}; `segnet crf search` writes such a file") from None
    except tomllib.TOMLDecodeError as cause:
        raise ConfigError(f"CRF parameters {path} are not valid TOML: {cause}") from None
    kinds = {name: type(value) for name, value in asdict(CRFParameters()).items()}
    for name, value in found.items():
        if name not in kinds:
            raise ConfigError(f"CRF parameters {path}: unknown name '{name}'; {nearest(name, kinds)}")
        fits = isinstance(value, int | float) if kinds[name] is float else isinstance(value, int)
        if not fits or isinstance(value, bool):
            expected = "a number" if kinds[name] is float else "a whole number"
            raise ConfigError(f"CRF parameters {path}: {name} = {value!r}: expected {expected}")
    try:
        return CRFParameters(**{name: kinds[name](value) for name, value in found.items()})
    except OverflowError:
        raise ConfigError(f"CRF parameters {path}: a number is too large; expected at most 1e308") from None
    except ConfigError as cause:
        raise ConfigError(f"CRF parameters {path}: {cause}") from None
