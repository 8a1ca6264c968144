"""YAML files of datasets, such as YOLO's `data.yaml`, read without running anything that stands in them."""

from pathlib import Path
from typing import Any

import yaml

from segnet.errors import DataError
from segnet.io.text import read_text

_MAX_CHARACTERS = 4_000_000


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        DataError: missing, not YAML, very large, or not a mapping.
    """
    text = read_text(path)
    if len(text) > _MAX_CHARACTERS:
        raise DataError(f"{path} has {len(text)} characters; expected a short file that names the classes")
    try:
        record = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        raise DataError(f"{path} cannot be read as YAML: {' '.join(str(cause).split())}") from None
    except (RecursionError, ValueError) as cause:
        raise DataError(f"{path} cannot be read as YAML: {type(cause).__name__}") from None
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no mapping; expected lines such as `names: [car, road]`")
    return record
