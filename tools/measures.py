"""Measures the source: size of files, types, documentation, shapes, comments, tests. `python tools/measures.py [ROOT]`.

    files; median/max lines      of src, without empty files
    fully typed                  functions whose parameters and result are all annotated
    documented                   public modules, classes and functions that have a docstring
    shape                        documented public functions that take or give arrays and name a shape: (N, C, H, W)
    comment lines                lines with a comment, per line of code
    test lines                   lines of code in tests, per line of code in src

Code lines are those that hold a token other than comments and docstrings.
"""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ARRAYS = re.compile(r"Tensor|ndarray|NDArray|Float\w*|Int64|Image8|Probability|Batch\b")
SHAPE = re.compile(r"\((?:\d+|[NCKHWPOhwkd])(?:'| \*|,| /)[^)]*\)|\([NCKHWP],?\)")
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Share:
    """So many of all."""

    some: int
    total: int

    def __str__(self) -> str:
        return f"{100 * self.some / max(self.total, 1):.0f} % of {self.total}"


def functions(tree: ast.AST) -> Iterator[tuple[Function, bool]]:
    """All functions, and whether each is public: it and what holds it have no leading underscore."""

    def walk(node: ast.AST, public: bool) -> Iterator[tuple[Function, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield child, public and not child.name.startswith("_")
                yield from walk(child, False)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, public and not child.name.startswith("_"))
            else:
                yield from walk(child, public)

    return walk(tree, True)


def is_typed(function: Function) -> bool:
    """Whether all parameters but self and cls, and the result, are annotated."""
    a = function.args
    parameters = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return function.returns is not None and all(p.annotation or p.arg in ("self", "cls") for p in parameters)


def annotations(function: Function) -> str:
    """The annotations of parameters and result as text."""
    a = function.args
    parts = [p.annotation for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)] + [function.returns]
    return " ".join(ast.unparse(part) for part in parts if part)


def code_and_comments(source: str) -> tuple[int, int]:
    """Lines of code, and lines with a comment."""
    documentation = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documentation |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code, comments = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"# (type: ignore|noqa|ruff:|---)", token.string):
            comments.add(token.start[0])
        if token.type not in SKIPPED:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - documentation), len(comments)


def measures(root: Path) -> dict[str, str]:
    """The measures of the checkout at `root`, by name."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((root / "src").rglob("*.py"))}
    sources = {path: text for path, text in sources.items() if text.strip()}
    lengths = [len(text.splitlines()) for text in sources.values()]
    typed, documented, shaped, code, comments = [], [], [], 0, 0
    for path, text in sources.items():
        tree = ast.parse(text)
        if not path.name.startswith("_") or path.name == "__init__.py":
            documented.append(ast.get_docstring(tree) is not None)
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                documented.append(ast.get_docstring(node) is not None)
        for function, public in functions(tree):
            typed.append(is_typed(function))
            documentation = ast.get_docstring(function)
            if public:
                documented.append(documentation is not None)
                if documentation and ARRAYS.search(annotations(function)):
                    shaped.append(SHAPE.search(documentation) is not None)
        more_code, more_comments = code_and_comments(text)
        code, comments = code + more_code, comments + more_comments

    tests = (path.read_text(encoding="utf-8") for path in (root / "tests").rglob("*.py"))
    test_code = sum(code_and_comments(text)[0] for text in tests)
    return {
        "files; median/max lines": f"{len(sources)}; {statistics.median(lengths):.0f}/{max(lengths)}",
        "functions fully typed": str(Share(sum(typed), len(typed))),
        "public items documented": str(Share(sum(documented), len(documented))),
        "array functions that give a shape": str(Share(sum(shaped), len(shaped))),
        "comment lines per code line": f"{100 * comments / code:.1f} %",
        "test lines per source line": f"{test_code / code:.2f}",
    }


if __name__ == "__main__":
    for name, value in measures(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name:<34} {value}")
