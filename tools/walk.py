"""Follows one image or one setting through the code: `python -P tools/walk.py image|setting [-v]`.

    image      `segnet predict` of one drawn street: functions that get its path, its pixels or feature maps of its size
    setting    train.lr, from `segnet train --set train.lr=...` to the first step: functions that get its value, or an
               object that holds it

Each function of the package counts at its first such call. Calls in a row within one file are one stay; entering a file
again is a return.
"""

import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

LR = 0.0123456
DEPTH = 3  # of containers and objects that are searched for the setting
STEM = "street-followed"
SIZES = {(48 >> n, 64 >> n) for n in range(5)}  # of the image, and of its maps after each pooling


def holds_setting(value: Any, depth: int = DEPTH) -> bool:
    """Whether a value is the setting, or holds it."""
    if isinstance(value, float | str):
        return value == LR or str(LR) in str(value)
    if depth == 0:
        return False
    items: list[Any] = []
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list | tuple):
        items = list(value)
    elif type(value).__module__.startswith("segnet."):
        items = list(getattr(value, "__dict__", {}).values())
    return any(holds_setting(item, depth - 1) for item in items[:50])


def holds_image(value: Any, depth: int = 1) -> bool:
    """Whether a value is the path of an image, or pixels or feature maps of it: an array with sides of 3 to 4."""
    if isinstance(value, list | tuple) and depth:
        return any(holds_image(item, depth - 1) for item in value[:5])
    if isinstance(value, str | Path):
        return STEM in str(value)
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and any(pair in SIZES for pair in pairwise(shape))


class Walk:
    """Notes the file of each function at its first call."""

    def __init__(self, holds: Callable[[Any], bool]) -> None:
        self.files: list[str] = []
        self._seen: set[object] = set()
        self._holds = holds

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        name = code.co_filename
        if event != "call" or "/segnet/" not in name or code in self._seen or code.co_name == "<module>":
            return
        if not any(self._holds(value) for value in list(frame.f_locals.values())):
            return
        self._seen.add(code)
        self.files.append(name.rpartition("/segnet/")[2])


def follow(kind: str) -> list[str]:
    """The files in the order of the walk, without repetitions in a row."""
    from segnet import cli  # noqa: PLC0415 - what is measured

    def run(*arguments: object) -> None:
        sys.argv = ["segnet", *map(str, arguments)]
        try:
            cli.main()
        except SystemExit as stop:
            assert not stop.code, arguments

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("data", "draw", folder / "data", "--count", 8, "--size", "48x64")
        walk = Walk(holds_setting if kind == "setting" else holds_image)
        sys.setprofile(walk)
        if kind == "image":
            image = min((folder / "data/images").iterdir()).rename(folder / f"{STEM}.png")
            run("predict", image, "--out", folder / "out", "--backend", "eager")
        else:
            settings = {"train.lr": LR, "train.epochs": 1, "model.name": '"segnet-basic"', "train.batch_size": 2}
            options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
            run("train", "--data", folder / "data", "--out", folder / "run", *options)
        sys.setprofile(None)
    return [file for i, file in enumerate(walk.files) if i == 0 or walk.files[i - 1] != file]


if __name__ == "__main__":
    kind, verbose = sys.argv[1], "-v" in sys.argv
    stays = follow(kind)
    files, rooms = set(stays), [stay.partition("/")[0] for stay in stays]
    in_rooms = [room for i, room in enumerate(rooms) if i == 0 or rooms[i - 1] != room]
    if verbose:
        print("\n".join(stays))
    print(f"{kind}: {len(stays)} stays in {len(files)} files, {len(stays) - len(files)} returns; ", end="")
    print(f"{len(in_rooms)} stays in {len(set(in_rooms))} rooms, {len(in_rooms) - len(set(in_rooms))} returns")
