# ruff: noqa: PLR0911 (each request is answered where it is understood)
"""A web server that speaks the Hugging Face hub's protocol for the calls that this package makes, on the loopback."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """Repositories by name, then revision: the commit and its files. `log` has every request."""

    repos: dict[str, dict[str, tuple[str, dict[str, bytes]]]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    address: str = ""
    down: bool = False  # answers 503
    read_only: bool = False
    full: bool = False  # takes no large files
    failures: int = 0  # so many downloads of files break off in the middle
    busy: int = 0  # so many answers to plain downloads are 503

    def add(self, repo: str, files: dict[str, bytes], revision: str = "main") -> str:
        """A commit with these files; returns its hash."""
        commit = hashlib.sha1(repr((repo, sorted(files.items()))).encode()).hexdigest()
        self.repos.setdefault(repo, {})[revision] = (commit, dict(files))
        return commit

    def find(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        for name, (commit, files) in self.repos[repo].items():
            if revision in (name, commit):
                return commit, files
        return None

    def requests(self, method: str, part: str = "") -> list[str]:
        return [line for line in self.log if line.startswith(f"{method} ") and part in line]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, record: object, status: int = 200) -> None:
        self._send(status, json.dumps(record).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _begin(self) -> tuple[str, bytes] | None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.hub.log.append(f"{self.command} {path}")
        if self.hub.down:
            self._send(503, b"{}")
            return None
        return path, body

    def do_GET(self) -> None:
        if not (begun := self._begin()):
            return None
        path, _ = begun
        if plain := re.fullmatch(r"/plain/(.+)", path):
            return self._file(self.hub.uploaded.get(unquote(plain[1])), {})
        about = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        fetched = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = about or fetched
        if not match:
            return self._refuse(404, "EntryNotFound")
        repo, revision = match[1], unquote(match[2] or "main")
        if repo in self.hub.gated:
            return self._refuse(403, "GatedRepo")
        if repo not in self.hub.repos:
            return self._refuse(404, "RepoNotFound")
        found = self.hub.find(repo, revision)
        if not found:
            return self._refuse(404, "RevisionNotFound")
        commit, files = found
        if about:
            siblings = [{"rfilename": name} for name in files]
            return self._json({"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "tags": []})
        data = files.get(unquote(match[3]))
        if data is None:
            return self._refuse(404, "EntryNotFound")
        return self._file(data, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    do_HEAD = do_GET  # noqa: N815 (http.server's name)

    def _file(self, data: bytes | None, headers: dict[str, str]) -> None:
        if data is None:
            return self._refuse(404, "EntryNotFound")
        if self.command == "GET" and self.hub.busy:
            self.hub.busy -= 1
            return self._send(503)
        status = 200
        if wanted := re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range") or ""):
            headers["Content-Range"] = f"bytes {wanted[1]}-{len(data) - 1}/{len(data)}"
            data, status = data[int(wanted[1]) :], 206
            self.hub.log[-1] += f" from {wanted[1]}"
        if self.command == "GET" and self.hub.failures:
            self.hub.failures -= 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        return self._send(status, data, headers)

    def do_POST(self) -> None:
        if not (begun := self._begin()):
            return None
        path, body = begun
        if self.hub.read_only:
            return self._refuse(403, "Forbidden")
        if path == "/api/repos/create":
            record = json.loads(body)
            repo = f"{record['organization']}/{record['name']}"
            if repo in self.hub.repos:
                return self._json({"error": "exists", "url": f"{self.hub.address}/{repo}"}, 409)
            self.hub.repos[repo] = {"main": ("0" * 40, {})}
            return self._json({"url": f"{self.hub.address}/{repo}"})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            if not self.hub.find(asked[1], unquote(asked[2])):
                return self._refuse(404, "RevisionNotFound")
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith((".safetensors", ".png")) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": modes})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**asked, "actions": {"upload": {"href": f"{self.hub.address}/lfs/{asked['oid']}", "header": {}}}}
                for asked in json.loads(body)["objects"]
            ]
            return self._json({"transfer": "basic", "objects": objects})
        if asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            return self._commit(asked[1], unquote(asked[2]), body)
        return self._refuse(404, "EntryNotFound")

    def _commit(self, repo: str, revision: str, body: bytes) -> None:
        files = dict(self.hub.repos[repo][revision][1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploaded[value["oid"]]
        commit = self.hub.add(repo, files, revision)
        self._json({"commitUrl": f"{self.hub.address}/{repo}/commit/{commit}", "commitOid": commit, "success": True})

    def do_PUT(self) -> None:
        if not (begun := self._begin()):
            return None
        path, body = begun
        if self.hub.full:
            return self._send(507)
        self.hub.uploaded[path.rsplit("/", 1)[1]] = body
        return self._send(200)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub on a free port of the loopback; stopped, and its thread joined, at the end."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
