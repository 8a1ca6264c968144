"""Pages of docs/: code that runs as written and prints what they say; commands, links and counts that are true."""

import re
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch
from documents import ROOT, anchors, commands_in, require_known_command

from segnet.models import MODELS, create_model

DOCS = ROOT / "docs"
PAGES = ("pooling-in-your-model.md",)
ALL_PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
COMMANDS = sorted({line for page in ALL_PAGES for line in commands_in((ROOT / page).read_text(encoding="utf-8"))})


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


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_docs_exist(line: str) -> None:
    require_known_command(line)


def test_there_are_pages_and_commands_to_check() -> None:
    assert len(ALL_PAGES) >= 10
    assert len(COMMANDS) >= 40


@pytest.mark.parametrize("page", ALL_PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]*)\)", text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_the_parameter_counts_of_the_models_page() -> None:
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9,]+) \|", text, flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(MODELS)
    for name, count in rows:
        with torch.device("meta"):
            parameters = sum(p.numel() for p in create_model(name, 11).parameters())
        assert f"{parameters:,}" == count, name
