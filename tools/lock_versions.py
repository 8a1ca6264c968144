"""Writes constraints.txt: the exact version of everything that `make` installs, from the environment that runs this.

    .venv/bin/python tools/lock_versions.py           # after an installation that passed the tests
    .venv/bin/python tools/lock_versions.py --check   # exit code 1 where something else is installed than pinned

It follows the requirements of this package with the extra `dev`, and theirs, as far as this system has them. What a
build of PyTorch for GPUs needs besides is pinned by that build itself, version by version.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = (
    "# What `make` installs on a fresh machine; pyproject.toml keeps the honest range. "
    "Written by tools/lock_versions.py.\n"
)


def canonical(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: Iterable[str], extras: dict[str, list[str]]) -> dict[str, str]:
    """Versions by name of requirements and everything that they need.

    Args:
        requirements: such as `torch>=2.13`, or `segnet[serve]` for an extra of this package.
        extras: of this package.

    Raises:
        SystemExit: one of them is not installed here, so that the list would have a gap.
    """
    found: dict[str, str] = {}
    waiting, seen = [Requirement(text) for text in requirements], set[str]()
    while waiting:
        need = waiting.pop()
        if str(need) in seen:
            continue
        seen.add(str(need))
        if need.name == "segnet":
            waiting += [Requirement(text) for extra in need.extras for text in extras[extra]]
            continue
        try:
            installed = distribution(need.name)
        except PackageNotFoundError:
            sys.exit(f"{need} is required, and is not installed; run `make install` first")
        found[canonical(need.name)] = installed.version.partition("+")[0]  # without the build, such as +cpu
        for inner in map(Requirement, installed.requires or ()):
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in (*need.extras, "")):
                inner.marker = None
                waiting.append(inner)
    return dict(sorted(found.items()))


def pinned(text: str) -> dict[str, str]:
    """Versions by name of a constraints file."""
    return {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE)}


def main() -> int:
    """Writes the file, or with --check compares it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    versions = closure([*project["dependencies"], *extras["dev"]], extras)
    if "--check" not in sys.argv[1:]:
        CONSTRAINTS.write_text(HEADER + "".join(f"{name}=={version}\n" for name, version in versions.items()))
        print(f"{CONSTRAINTS.name}: {len(versions)} packages")
        return 0
    stored = pinned(CONSTRAINTS.read_text(encoding="utf-8"))
    wrong = [
        f"{n}: {v} is installed, {stored.get(n, 'nothing')} pinned" for n, v in versions.items() if stored.get(n) != v
    ]
    print("\n".join(wrong) or f"{len(versions)} packages, all as pinned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
