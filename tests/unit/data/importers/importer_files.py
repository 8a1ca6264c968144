"""Small images, masks and files that the tests of the readers write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def save_image(path: Path, size_px: tuple[int, int] = (4, 6)) -> Path:
    """A black image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size_px, 3), np.uint8)).save(path)
    return path


def save_mask(path: Path, pixels: Any) -> Path:
    """Class ids (H, W) or colours (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(pixels)
    Image.fromarray(values.astype(np.uint8 if values.max() < 256 else np.uint16)).save(path)
    return path


def save_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def save_json(path: Path, record: Any) -> Path:
    return save_text(path, json.dumps(record))
