"""The files in deploy/ against the command that they start: options, port, probes, grace."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from test_serve_load import Slow, slow_app
from typer.main import get_command

from segnet.cli import app

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
DEPLOYMENT, SERVICE = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def instruction(name: str) -> list[str]:
    (found,) = re.findall(rf"^{name} (\[.*\])$", CONTAINERFILE, flags=re.MULTILINE)
    return json.loads(found)


def test_the_options_exist() -> None:
    command = get_command(app).commands["serve"]
    known = {option for parameter in command.params for option in parameter.opts}
    entry = instruction("ENTRYPOINT")
    assert entry[:2] == ["segnet", "serve"]
    for word in (*entry, *instruction("CMD"), *CONTAINER["args"]):
        assert not word.startswith("--") or word in known, word


def test_port_and_user_agree() -> None:
    port = int(instruction("ENTRYPOINT")[-1])
    assert f"EXPOSE {port}\n" in CONTAINERFILE
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert SERVICE["spec"]["ports"][0]["targetPort"] == "http"
    assert f"USER {POD['securityContext']['runAsUser']}\n" in CONTAINERFILE
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels


def test_the_probes_are_routes_and_the_pod_waits_longer_than_the_service() -> None:
    paths = slow_app(Slow()).openapi()["paths"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "get" in paths[CONTAINER[probe]["httpGet"]["path"]]
    grace_s = float(CONTAINER["args"][CONTAINER["args"].index("--grace-s") + 1])
    assert POD["terminationGracePeriodSeconds"] >= grace_s + 5
