"""Hooks of mkdocs: pages that live outside docs/, and links that work in the repository as well as on the site.

In the repository a page links to files beside it, such as `../results/table6.md` or `../src/segnet/pooling.py`. On the
site the first is a page and the second is not, so links become the page's address or that of the file on GitHub.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SOURCES = "https://github.com/segnet-engine/segnet/blob/main/"
PROJECT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
RESULTS = (".md", ".png", ".svg")

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^(```.*?^```)$", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and figures of results/, and the project's own pages."""
    for path in sorted((ROOT / "results").rglob("*")):
        if path.suffix in RESULTS:
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for name in PROJECT:
        files.append(File.generated(config, f"project/{name.lower()}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Rewrites the links of a page; code blocks stay as they are."""
    pages = {repository_name(file.src_uri): file.src_uri for file in files}
    own, here = repository_name(page.file.src_uri), posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        link, anchor = match[2], match[3] or ""
        if "://" in link or link.startswith("mailto:"):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(own), link))
        if target in pages:
            link = posixpath.relpath(pages[target], here or ".")
        elif (ROOT / target).is_dir() and f"{target}/README.md" in pages:
            link = posixpath.relpath(pages[f"{target}/README.md"], here or ".")
        elif (ROOT / target).exists():
            link = SOURCES + target
        return f"{match[1]}{link}{anchor}{match[4]}"

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(rewritten, part) for part in parts)


def repository_name(src_uri: str) -> str:
    """Where in the repository a page comes from."""
    if src_uri.startswith("results/"):
        return src_uri
    for name in PROJECT:
        if src_uri == f"project/{name.lower()}":
            return name
    return f"docs/{src_uri}"
