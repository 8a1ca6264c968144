"""Checks the licences of everything that constraints.txt pins: each must be known here as one that asks for no source.

    .venv/bin/python tools/licences.py            # exit code 1 where one is unknown, or asks for more
    .venv/bin/python tools/licences.py --table    # every package with its licence

It reads what the installed packages say of themselves, so it needs no network; `make check` runs it.
"""

import re
import sys
from collections.abc import Iterable
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata

from lock_versions import CONSTRAINTS, pinned

# Permissive ones, and the MPL, whose demands end at its own files, which nobody changes here.
ALLOWED = {
    "0bsd",
    "3-clause bsd",
    "apache",
    "apache software",
    "apache-2.0",
    "apache-2.0 with llvm-exception",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsl-1.0",
    "cc0-1.0",
    "freebsd",
    "isc",
    "mit",
    "mit-0",
    "mit-cmu",
    "mozilla public 2.0",
    "mpl-2.0",
    "psf-2.0",
    "python software foundation",
    "zlib",
}


def stated(package: Message) -> str:
    """What a package says: an SPDX expression; else its classifiers, all of which hold; else its own word."""
    if expression := package.get("License-Expression"):
        return str(expression)
    classes = [c.rpartition(" :: ")[2] for c in package.get_all("Classifier", []) if c.startswith("License :: ")]
    return " AND ".join(classes) or str(package.get("License", "")).partition("\n")[0].strip() or "not stated"


def refused(expression: str) -> list[str]:
    """The parts of an expression that are not allowed; of alternatives one is enough.

    Where parts stand in parentheses, all must be allowed, which asks for more than the expression does.
    """
    text = re.sub(r" \([\w.]+( [\d.]+)?\)", "", expression)  # an abbreviation, such as (MPL 2.0)
    alternatives = [text] if "(" in text else text.split(" OR ")
    parts = ([part.strip() for part in re.split(r" AND | OR |[()]", each) if part.strip()] for each in alternatives)
    return min(([part for part in each if _plain(part) not in ALLOWED] for each in parts), key=len)


def _plain(name: str) -> str:
    """A licence's name in lower case, without the word `license`."""
    return " ".join(re.sub(r"\blicen[cs]e\b", "", name.lower()).split())


def problems(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Lines of packages whose licence is not allowed, and of all."""
    wrong, all_of_them = [], []
    for name in names:
        try:
            said = stated(metadata(name))
        except PackageNotFoundError:
            wrong.append(f"{name}: not installed, so its licence is unknown; run `make install`")
            continue
        all_of_them.append(f"{name}: {said}")
        if parts := refused(said):
            wrong.append(f"{name}: {said}; not known as permissive: {', '.join(parts)}")
    return wrong, all_of_them


def main() -> int:
    """Prints what is not allowed, or how many are."""
    wrong, lines = problems(pinned(CONSTRAINTS.read_text(encoding="utf-8")))
    if "--table" in sys.argv[1:]:
        print("\n".join(lines))
    print("\n".join(wrong) or f"{len(lines)} packages, each under a permissive licence or the MPL")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
