"""What ARCHITECTURE.md says exists: every file of its walks and its map, and the tools that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
WALKS = PAGE[PAGE.index("## One image through prediction") : PAGE.index("## Measures")]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_a_file_that_is_named_exists(name: str) -> None:
    assert (ROOT / "src/segnet" / name).is_file() or (ROOT / name).is_file()


def test_the_walks_name_the_files_of_each_step() -> None:
    steps = re.findall(r"^\d\. .*(?:\n   .*)*", WALKS, flags=re.MULTILINE)
    assert len(steps) == 16
    for step in steps:
        assert re.search(r"`[\w/]+\.py`", step), step


def test_the_tools_that_are_named_exist() -> None:
    named = set(re.findall(r"`python -P (tools/\w+\.py)", PAGE))
    assert named == {"tools/walk.py", "tools/measures.py"}
    for name in named:
        assert (ROOT / name).is_file()
