"""A small hub for models on this computer: repositories with commits, private or public, as huggingface_hub needs them.

It also serves plain files under `/files/`, whole or in the bad ways of real servers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"


@dataclass
class Repository:
    """The files of the newest commit by name, and the number of commits."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def commit(self):
        """The id of the newest commit."""
        return hashlib.sha1(str(len(self.commits)).encode()).hexdigest()


@dataclass
class Hub:
    """The repositories and plain files of a running hub."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # of plain files, in place of the right ones
    redirects: dict[str, str] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def _send(self, status, content=b"", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _repository(self, name):
        """Return a repository that the user may see, or None after the answer that there is none."""
        repository = self.hub.repositories.get(name)
        hidden = repository is not None and repository.private and not self._logged_in
        if repository is None or hidden:
            self._send(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        return repository

    @property
    def _logged_in(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            self._plain(path)
        elif parts[:2] == ["api", "models"]:
            self._info("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(404)

    do_HEAD = do_GET

    def _plain(self, path):
        if path in self.hub.redirects:
            self._send(302, Location=self.hub.redirects[path])
        elif path in self.hub.files:
            self._send(200, self.hub.files[path], **self.hub.headers)
            if self.hub.headers:
                self.close_connection = True
        else:
            self._send(404)

    def _info(self, name, revision):
        if (repository := self._repository(name)) is None:
            return
        if revision not in ("main", repository.commit):
            self._send(404, {"error": "Invalid rev"}, X_Error_Code="RevisionNotFound")
            return
        siblings = [{"rfilename": path, "size": len(content)} for path, content in repository.files.items()]
        self._send(200, {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings})

    def _resolve(self, name, revision, path):
        if (repository := self._repository(name)) is None:
            return
        if path not in repository.files:
            self._send(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        etag = hashlib.sha1(repository.files[path]).hexdigest()
        self._send(200, repository.files[path], ETag=f'"{etag}"', X_Repo_Commit=repository.commit)

    def do_POST(self):
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        body = self._body()
        if parts[-1] == "validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif not self._logged_in:
            self._send(401, {"error": "Invalid username or password."})
        elif parts == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif "preupload" in parts:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._send(200, {"files": files})
        elif "commit" in parts:
            self._commit("/".join(parts[2:4]), body)
        else:
            self._send(404)

    def _create(self, wanted):
        name = f"{wanted.get('organization') or 'ada'}/{wanted['name']}"
        if name.startswith("taken/"):
            self._send(403, {"error": "You don't have the rights to create a model under this namespace"})
            return
        known, private = name in self.hub.repositories, wanted.get("visibility", wanted.get("private"))
        self.hub.repositories.setdefault(name, Repository(private in ("private", True)))
        self._send(409 if known else 200, {"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def _commit(self, name, body):
        repository = self.hub.repositories[name]
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                repository.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        repository.commits.append(dict(repository.files))
        link = f"{self.hub.url}/{name}/commit/{repository.commit}"
        self._send(200, {"success": True, "commitOid": repository.commit, "commitUrl": link, "hookOutput": ""})


@contextmanager
def running_hub():
    """Run a hub on the loopback interface, and yield it."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
