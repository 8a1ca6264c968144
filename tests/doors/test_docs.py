"""Pages of docs/: code that runs as written and prints what they say; commands, links and counts that are true."""

import json
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from documents import ROOT, anchors, blocks_of, commands_in, require_known_command

from segnet.models import MODELS, create_model

DOCS = ROOT / "docs"
# Every block of these runs, in order, in an empty folder; own-data, other-channels and training have their own tests.
PAGES = (
    "pooling-in-your-model.md",
    "pooling-indices.md",
    pytest.param("index.md", marks=pytest.mark.slow),
    pytest.param("runs.md", marks=pytest.mark.load),  # minutes on a slow processor
    *(pytest.param(f"{name}.md", marks=pytest.mark.slow) for name in ("prediction", "evaluation")),
)
ALL_PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
COMMANDS = sorted({line for page in ALL_PAGES for line in commands_in((ROOT / page).read_text(encoding="utf-8"))})


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_and_prints_what_stands_below_it(
    page: str, run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {"__name__": page}
    printed, compared = "", 0
    for language, text in blocks_of((DOCS / page).read_text(encoding="utf-8")):
        if language == "python":
            with redirect_stdout(StringIO()) as lines:
                exec(compile(text, page, "exec"), names)
            printed = lines.getvalue()
        elif language == "bash":
            for line in text.splitlines():
                code, _, err = run(*shlex.split(line)[1:])
                assert (code, err) == (0, ""), line
        elif language == "text":
            assert printed == text
            compared += 1
    assert compared >= 1


def test_the_change_in_another_model_is_the_difference_of_its_two_forms_and_ten_lines_at_most() -> None:
    found = blocks_of((DOCS / "pooling-in-your-model.md").read_text(encoding="utf-8"))
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


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the notebook's own packages warn in their own ways
def test_the_notebook_runs_and_trains(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    (scores,) = re.findall(r"mean IoU ([0-9.]+) -> ([0-9.]+)", "".join(o.get("text", "") for o in outputs))
    assert float(scores[1]) > float(scores[0])
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3


def test_the_notebook_is_stored_with_its_outputs() -> None:
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 6
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3


def test_every_page_has_its_place_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for page in (*ALL_PAGES, "docs/tutorial.ipynb"):
        assert f": {page.removeprefix('docs/')}\n" in navigation or f"- {page.removeprefix('docs/')}\n" in navigation
