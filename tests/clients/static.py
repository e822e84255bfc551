"""An organisation's index as files of a small web server: what consumers read of a bucket."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.distributions import digest


@dataclass
class Static:
    """A running server: releases are added, and what is derived is rendered anew."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    projects: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def release(self, team: str, project: str, version: str, file: Path) -> None:
        """Add a release of one file."""
        key = f"packages/{team}/{project}/{file.name}"
        self.objects[key] = file.read_bytes()
        entry: dict[str, object] = {
            "filename": file.name,
            "url": f"../../{key}",
            "hashes": {"sha256": digest(file)},
            "upload-time": "2026-11-01T00:00:00Z",
        }
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as archive:
                [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
                metadata = archive.read(name)
            self.objects[f"{key}.metadata"] = metadata
            entry["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
        self.projects.setdefault(project, []).append(entry | {"_version": version})
        self._render()

    def yank(self, project: str) -> None:
        """Yank every release of a project."""
        for entry in self.projects[project]:
            entry["yanked"] = True
        self._render()

    def upload_time(self, project: str, time: str) -> None:
        """Set when every release of a project was uploaded."""
        for entry in self.projects[project]:
            entry["upload-time"] = time
        self._render()

    def _render(self) -> None:
        lines = []
        meta = {"api-version": "1.1"}
        for project, entries in sorted(self.projects.items()):
            versions = [entry["_version"] for entry in entries]
            page = {"meta": meta, "name": project, "versions": versions, "files": entries}
            self.objects[f"simple/{project}/"] = json.dumps(page).encode()
            if "yanked" in entries[-1]:
                lines.append(f"{project} <0\n")
            else:
                address = str(entries[-1]["url"]).replace("../..", self.url)
                lines.append(f"{project} @ {address}#sha256={entries[-1]['hashes']['sha256']}\n")  # type: ignore[index]
        listed = {"meta": meta, "projects": [{"name": name} for name in self.projects]}
        self.objects["simple/"] = json.dumps(listed).encode()
        self.objects["simple/constraints.txt"] = "".join(lines).encode()


@contextmanager
def static() -> Iterator[Static]:
    """Serve an empty index until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    index = Static(f"http://127.0.0.1:{server.server_port}")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = self.path.removeprefix("/")
            body = index.objects.get(key)
            page = key.endswith("/")
            kind = "application/vnd.pypi.simple.v1+json" if page else "text/plain"
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    server.RequestHandlerClass = Handler
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
