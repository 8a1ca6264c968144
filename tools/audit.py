"""Asks for known vulnerabilities of everything that constraints.txt pins, and writes what is installed as an SBOM.

    make audit        # installs pip-audit and cyclonedx-bom in .venv-audit, and runs this

The exit code is 0 only where every package was asked for and none has a known vulnerability; 1 where one has; 3 where
the service did not answer for all. pip-audit alone exits with 0 where it could ask for nothing.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ASKED = ["--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off"]


def verdict(packages: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Exit code, and what to print, of the packages in pip-audit's answer."""
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    lines = [
        f"{p['name']} {p['version']}: {v['id']}; mended in {', '.join(v['fix_versions']) or 'no version yet'}"
        for p in packages
        for v in p.get("vulns", ())
    ]
    asked = len(packages) - len(unknown)
    code = 1 if lines else 3 if unknown or not packages else 0
    lines.append(f"{asked} of {len(packages)} packages asked for, {len(lines)} known vulnerabilities")
    if unknown:
        lines.append(f"nothing is known of the others, such as {unknown[0]}: the service had no answer for them")
    return code, lines


def main(tools: Path) -> int:
    """Writes sbom.json and prints the verdict.

    Args:
        tools: folder of the programs `pip-audit` and `cyclonedx-py`.
    """
    written = ["--output-reproducible", "--pyproject", "pyproject.toml", "--mc-type", "library", "-o", "sbom.json"]
    subprocess.run([tools / "cyclonedx-py", "environment", *written, sys.executable], check=True, cwd=ROOT)
    listed = json.loads((ROOT / "sbom.json").read_text(encoding="utf-8"))
    print(f"sbom.json: CycloneDX {listed['specVersion']}, {len(listed['components'])} packages")
    asking = [tools / "pip-audit", "--format", "json", *ASKED]
    answer = subprocess.run(asking, check=False, cwd=ROOT, capture_output=True, text=True)
    try:
        code, lines = verdict(json.loads(answer.stdout)["dependencies"])
    except ValueError:
        last = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
        code, lines = 3, [f"known vulnerabilities could not be asked for: {last[:300]}"]
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
