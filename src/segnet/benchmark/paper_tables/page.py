"""One HTML page with all tables of a benchmark and their plots; it needs no network."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from segnet.benchmark.paper_tables.plots import plots, points_of
from segnet.benchmark.paper_tables.tables import TableText
from segnet.io.files import whole_file

_STYLE = """
main { max-width: 1440px; }  /* thirteen columns */
.classes + .wide { margin-top: 28px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.notes { margin: 14px 0 0; padding-left: 20px; font-size: 14px; color: var(--soft); overflow-wrap: anywhere; }
"""


def write_page(path: Path, tables: Sequence[tuple[Mapping[str, Any], TableText]], facts: Mapping[str, str]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file; an existing one is replaced.
        tables: stored records (`rows`, `command`) and the text made of each.
        facts: further facts to list, such as `machine_facts()`.

    Raises:
        DataError: the file cannot be written.
    """
    sections = ['<h1>Benchmark</h1>\n<p class="lead">Measured here; in brackets what the paper prints.</p>']
    sections += [_section(record, text) for record, text in tables]
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    sections.append(f'<h2>Environment</h2>\n<dl class="facts">\n{rows}\n</dl>')
    page = Template(_resource("page.html")).substitute(
        title="Benchmark", style=_resource("style.css") + _STYLE, body="\n".join(sections)
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _section(record: Mapping[str, Any], text: TableText) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in text.columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in text.rows)
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in text.notes)
    figures = "\n".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for svg, caption in plots(points_of(record), text.name)
    )
    curves = f'<div class="classes">\n{figures}\n</div>\n' if figures else ""
    return f'<h2>{escape(text.title)}</h2>\n{curves}{table}\n<ul class="notes">\n{notes}\n</ul>'


def _resource(name: str) -> str:
    return (resources.files("segnet.report") / name).read_text(encoding="utf-8")
