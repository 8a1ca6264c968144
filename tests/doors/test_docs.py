"""Pages of docs/ whose code runs as written and prints what they say."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("pooling-in-your-model.md",)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and content of each block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_prints_what_stands_below_it(page: str) -> None:
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": page}
    code = [(i, text) for i, (language, text) in enumerate(blocks(page)) if language == "python"]
    assert len(code) >= 3
    for place, text in code:
        language, expected = blocks(page)[place + 1]
        assert language == "text", f"{page}: what does this print?\n{text}"
        with redirect_stdout(StringIO()) as printed:
            exec(compile(text, page, "exec"), names)
        assert printed.getvalue() == expected


def test_the_change_in_another_model_is_the_difference_of_its_two_forms_and_ten_lines_at_most() -> None:
    found = blocks("pooling-in-your-model.md")
    before, after = [text.splitlines() for language, text in found if language == "python"][:2]
    (change,) = [text.splitlines() for language, text in found if language == "diff"]
    assert len(change) <= 10
    removed = [line[1:] for line in change if line.startswith("-")]
    added = [line[1:] for line in change if line.startswith("+")]
    assert len(removed) + len(added) == len(change)
    body = before.index("    def forward(self, image):") + 1
    assert removed == before[body : body + len(removed)]
    body = after.index("    def forward(self, image):") + 1
    assert added == [after[0], *after[body : body + len(added) - 1]]
