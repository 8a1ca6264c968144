"""The figures of the docs: what the scripts in tools/ draw, from numbers that the package computes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


def script(name: str) -> ModuleType:
    """A file of tools/, without its folder on the path: another file there has the name of a standard module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def test_the_steps_of_pooling() -> None:
    steps = script("draw_pooling_figure").steps()
    assert steps["pooled"].tolist() == [[5, 4], [8, 6]]
    assert steps["positions"].tolist() == [[2, 1], [3, 0]]
    assert steps["window"].tolist() == [2, 0, 1, 1]
    assert int(steps["byte"]) == 0b01_01_00_10
    assert steps["unpooled"].tolist() == [[0, 0, 0, 1], [7, 0, 0, 0], [0, 0, 9, 0], [0, 2, 0, 0]]
    assert steps["convolved"][1, 1] == pytest.approx(7 / 2 + 9 / 4)


def test_the_stored_figure_is_the_one_that_is_drawn() -> None:
    stored = (ROOT / "docs/images/pooling-indices.svg").read_text(encoding="utf-8")
    assert script("draw_pooling_figure").draw() == stored


def test_a_wipe_goes_from_the_image_to_its_colours() -> None:
    image, coloured = np.zeros((4, 20, 3), np.uint8), np.full((4, 20, 3), 100, np.uint8)
    frames = [frame for frame, _ in script("draw_animation").wipe(image, coloured, steps=3)]
    assert len(frames) == 5
    assert np.array_equal(frames[0], image)
    assert np.array_equal(frames[-1], coloured)
    assert (frames[2][:, :9] == 100).all()
    assert (frames[2][:, 9:12] == 255).all()
    assert not frames[2][:, 12:].any()


def test_links_become_pages_of_the_site_or_files_on_github() -> None:
    pytest.importorskip("mkdocs")
    hooks = script("docs_hooks")

    class Page:
        def __init__(self, src_uri: str) -> None:
            self.src_uri = src_uri
            self.file = self

    files = [Page(name) for name in ("a.md", "results/README.md", "results/table6.md", "project/architecture.md")]
    text = "[x](../results/table6.md#y) [p](../src/segnet/pooling.py) [r](../results) [q](https://a.b/c.md)"
    got = hooks.on_page_markdown(text, page=files[0], config=None, files=files)
    assert got.split(" ") == [
        "[x](results/table6.md#y)",
        "[p](https://github.com/segnet-engine/segnet/blob/main/src/segnet/pooling.py)",
        "[r](results/README.md)",
        "[q](https://a.b/c.md)",
    ]
    back = hooks.on_page_markdown("[a](../docs/a.md) [b](../ARCHITECTURE.md)", page=files[2], config=None, files=files)
    assert back == "[a](../a.md) [b](../project/architecture.md)"
    fenced = "```text\n[x](../results/table6.md)\n```"
    assert hooks.on_page_markdown(fenced, page=files[0], config=None, files=files) == fenced
