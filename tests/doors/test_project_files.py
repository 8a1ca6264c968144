"""The files for contributors, citers and package indexes: what they name exists, and versions agree."""

import re
import tomllib
from typing import Any

import pytest
import yaml
from documents import ROOT, anchors

from segnet.version import __version__

PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "ARCHITECTURE.md")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]*)\)", text_of(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        assert (ROOT / name).exists(), link
        assert not anchor or anchor in anchors(text_of(name or page)), link


def test_the_files_that_contributing_names_exist() -> None:
    named = re.findall(r"`((?:src|tests|docs)/[\w./-]*)`", text_of("CONTRIBUTING.md"))
    assert len(named) >= 12
    for name in named:
        assert (ROOT / name.replace("NAME.py", "")).exists(), name


def test_the_first_change_of_contributing_can_be_made() -> None:
    before, after = "wrong**gamma", "wrong**(gamma + 1)"
    assert f"`{before}` to `{after}`" in text_of("CONTRIBUTING.md")
    assert before in text_of("src/segnet/nn/losses.py").partition("def focal")[2].partition("\ndef ")[0]


def test_make_targets_that_contributing_names_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text_of("CONTRIBUTING.md"), flags=re.MULTILINE))
    assert {"test", "check", "mutants"} <= named
    for target in named:
        assert re.search(rf"^{target}:", text_of("Makefile"), flags=re.MULTILINE), target


def test_the_versions_agree() -> None:
    assert re.search(r"^## Unreleased$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert re.search(rf"^## {re.escape(__version__)}\b", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["version"] == __version__
    assert citation["preferred-citation"]["doi"] in text_of("README.md")


def test_issue_forms_have_what_github_asks_for() -> None:
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 3
    for path in forms:
        form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= form.keys(), path
            assert all(each["attributes"]["label"] for each in form["body"]), path


def test_what_a_package_index_shows() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert set(project["urls"]) >= {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith("https://") for url in project["urls"].values())
    assert "Typing :: Typed" in project["classifiers"]


def test_what_the_source_distribution_should_contain_exists() -> None:
    sdist = tomllib.loads(text_of("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert "docs" in sdist["include"]
    for name in sdist["include"]:
        assert (ROOT / name).exists(), name
