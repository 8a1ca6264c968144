"""Time and memory of `segnet data import`, `check` and `split` for many small files.

    python tools/data_speed.py --counts 1000,10000

Makes COCO exports of so many images of 32x32 pixels with two polygons each, runs the three commands on each export in a
process of its own, and prints a table: CPU seconds (of user and system, which a busy machine changes little), files per
CPU second, and peak memory. The export is written to a temporary folder, which is removed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE_PX = 32


class Cost(NamedTuple):
    """What a command used.

    Attributes:
        cpu_s: user and system time.
        peak_mib: most memory at once.
    """

    cpu_s: float
    peak_mib: float


def make_export(root: Path, count: int) -> Path:
    """Writes a COCO export of `count` images."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, shapes = [], []
    for number in range(count):
        name = f"place{number % 97:02d}_{number:06d}.png"
        cells = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(cells.repeat(8, axis=0).repeat(8, axis=1)).save(root / "images" / name)
        images.append({"id": number, "file_name": name, "width": SIDE_PX, "height": SIDE_PX})
        for category, (x, y, side) in enumerate(((2, 3, 20), (9, 9, 11)), 1):
            corners = [x, y, x + side, y, x + side, y + side, x, y + side]
            shape = {"id": len(shapes), "image_id": number, "category_id": category, "segmentation": [corners]}
            shapes.append(shape | {"area": side * side, "bbox": [x, y, side, side]})
    categories = [{"id": 1, "name": "wall"}, {"id": 2, "name": "window"}]
    record = {"images": images, "annotations": shapes, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(record))
    return root


def measured(*arguments: object) -> Cost:
    """Runs `segnet ARGUMENTS` in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "segnet", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Prints a row for each command and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", default="1000,10000", help="numbers of images")
    counts = [int(count) for count in parser.parse_args().counts.split(",")]
    print("| command | images | CPU s | images per CPU s | peak MiB |\n|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="segnet-speed-") as scratch:
            export = make_export(Path(scratch) / "export", count)
            data = Path(scratch) / "data"
            for name, arguments in (
                ("import", ("import", export, "--out", data)),
                ("split", ("split", data)),
                ("check", ("check", data)),
            ):
                cost = measured("data", *arguments)
                rate = count / cost.cpu_s
                print(f"| `{name}` | {count:,} | {cost.cpu_s:.1f} | {rate:,.0f} | {cost.peak_mib:.0f} |", flush=True)


if __name__ == "__main__":
    main()
