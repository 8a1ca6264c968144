"""The measures of a tree that is known by heart."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "measures.py"


@pytest.fixture(scope="module")
def measures() -> Any:
    spec = importlib.util.spec_from_file_location("source_measures", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


SOURCE = '''"""A module."""

import torch  # a why
from torch import Tensor


def shaped(x: Tensor) -> Tensor:
    """(N, C, H, W) -> the same."""
    return x  # type: ignore[return-value]


def without_shape(x: Tensor) -> Tensor:
    """Doubles."""
    return 2 * x


def untyped(x):
    return x


def _private(x: int) -> int:
    return x
'''


def test_every_measure(measures: Any, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "src" / "one.py").write_text(SOURCE)
    (tmp_path / "src" / "__init__.py").write_text("")
    (tmp_path / "tests" / "test_one.py").write_text('"""Tests."""\n\n# nothing\nassert True\nassert 1\n')
    assert measures.measures(tmp_path) == {
        "files; median/max lines": "1; 22/22",
        "functions fully typed": "75 % of 4",
        "public items documented": "75 % of 4",
        "array functions that give a shape": "50 % of 2",
        "comment lines per code line": "10.0 %",
        "test lines per source line": "0.20",
    }


@pytest.mark.parametrize(
    ("documentation", "has_shape"),
    [("int64 (K, K).", True), ("A scalar.", False), ("(P,) each", True), ("f(x, y)", False), ("(1, C, H, W)", True)],
)
def test_shapes_are_found(measures: Any, documentation: str, has_shape: bool) -> None:
    assert bool(measures.SHAPE.search(documentation)) is has_shape
