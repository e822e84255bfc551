"""A small simple index in this process that can require a password and fail on chosen paths.

It stands in for servers that tests cannot run; test_servers.py has pypiserver, devpi and s3pypi.
"""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"


@dataclass
class OldIndex:
    """An index whose `pages` map each path to (Content-Type, body).

    `password` (user:password) is required if set. `fails` is called for each request and returns
    the status that replaces the usual one, or 0. `asked` lists (path, given password).
    """

    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    password: str = ""
    fails: Callable[[str], int] = lambda _: 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def add(self, project: str, files: Mapping[Path, Mapping[str, Any]], *, json: bool) -> None:
        """Serve files and a project page with the given keys of each, and its SHA-256."""
        for path in files:
            self.pages[f"/files/{path.name}"] = "application/octet-stream", path.read_bytes()
        page = _json if json else _html
        self.pages[f"/simple/{project}/"] = page(project, files)


def _json(project: str, files: Mapping[Path, Mapping[str, Any]]) -> tuple[str, bytes]:
    entries = [
        {
            "filename": path.name,
            "url": f"../../files/{path.name}",
            "hashes": {"sha256": sha256(path.read_bytes()).hexdigest()},
            **said,
        }
        for path, said in files.items()
    ]
    versions = sorted({path.name.split("-")[1].removesuffix(".tar.gz") for path in files})
    document = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions}
    return JSON, json.dumps(document | {"files": entries}).encode()


def _html(project: str, files: Mapping[Path, Mapping[str, Any]]) -> tuple[str, bytes]:
    links = []
    for path, said in files.items():
        digest = said.get("hashes", {"sha256": sha256(path.read_bytes()).hexdigest()})
        fragment = "".join(f"#{name}={value}" for name, value in digest.items())
        yank = f' data-yanked="{said["yanked"]}"' if "yanked" in said else ""
        links.append(f'<a href="../../files/{path.name}{fragment}"{yank}>{path.name}</a>')
    return HTML, ("<!doctype html><title>Links</title>" + "<br>".join(links)).encode()


@contextmanager
def serving(index: OldIndex) -> Iterator[OldIndex]:
    """Serve an index on a free local port; set `url` to its simple index."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            given = b64decode(given).decode()
            index.asked.append((self.path, given))
            status = index.fails(self.path)
            kind, body = index.pages.get(self.path, (HTML, b""))
            if index.password and given != index.password:
                status = 401
            elif self.path not in index.pages:
                status = 404
            self.send_response(status or 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
