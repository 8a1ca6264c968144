"""Who may import whom: lower levels of ARCHITECTURE.md, the module's own room, or what stands in `BESIDE`."""

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
PAGE = (SRC.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d) \| ([^|]+) \|", PAGE, flags=re.MULTILINE)  # the page's table of levels is what is tested
LEVELS = [re.findall(r"`(\w+)`", rooms) for _, rooms in ROWS]
BESIDE = {
    "labels": {"errors"},
    "palette": {"errors", "labels"},
    "config": {"errors", "io"},
    "io": {"errors"},
    "pooling": {"nn"},  # recomputation in the backward pass
    "machine": {"device"},
    "weights": {"models"},
    "training": {"inference"},  # evaluates while it trains
    "compression": {"inference", "training"},  # int8 is scored; what pruning leaves is trained
    "export": {"caffe"},  # one of its targets
    "benchmark": {"export", "report"},
    "cli": {"serve", "video"},
    "__init__": {"version"},
    "__main__": {"cli"},
}
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
MODULES = {".".join(path.relative_to(SRC).with_suffix("").parts): path for path in sorted(SRC.rglob("*.py"))}


def room(module: str) -> str:
    """The package or file directly below `segnet`: `segnet.data.datasets.camvid` -> `data`."""
    return module.split(".")[1]


def imports(module: str) -> set[str]:
    """The modules of this project that a module names in any import statement, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: line {node.lineno}: relative imports hide the level; write it in full"
            within = {f"{node.module}.{alias.name}" for alias in node.names if alias.name != "__version__"}
            found |= {name if {name, f"{name}.__init__"} & MODULES.keys() else str(node.module) for name in within}
    named = {name if name in MODULES else f"{name}.__init__" for name in found if name.split(".")[0] == "segnet"}
    assert named <= MODULES.keys(), f"{module} imports what is not there: {named - MODULES.keys()}"
    return named


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_lower_levels_only(module: str) -> None:
    own = room(module)
    assert own in LEVEL, f"{module} has no level; give '{own}' one in LEVELS and in the plan of the rooms"
    for other in map(room, imports(module)):
        lower = LEVEL[other] < LEVEL[own]
        assert lower or other == own or other in BESIDE.get(own, ()), f"{module} (level {LEVEL[own]}) imports {other}"


def test_no_module_imports_itself_round_a_corner() -> None:
    TopologicalSorter({module: imports(module) for module in MODULES}).prepare()  # raises CycleError


def test_the_page_numbers_its_levels_from_zero() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(8))


def test_a_model_never_knows_what_it_is_trained_on() -> None:
    for module in MODULES:
        if room(module) == "models":
            assert not {"data", "losses", "metrics", "boundary"} & set(map(room, imports(module))), module


def test_the_runtime_knows_no_dataset() -> None:
    for module in MODULES:
        if room(module) == "runtime":
            assert not {"data", "crf"} & set(map(room, imports(module))), module


def test_no_file_is_a_drawer_or_hides_a_standard_module() -> None:
    drawers = {"utils", "util", "common", "misc", "helpers", "core", "base"}
    # `io` is a room, never imported by its bare name; `python -m segnet` needs `__main__`
    hidden = sys.stdlib_module_names - {"io", "__main__"}
    for path in MODULES.values():
        for name in (path.stem, path.parent.name):
            assert name not in drawers | hidden, path
