"""A hostile "PyPI" on loopback: it offers private names at version 99 and keeps a record.

Attacks cannot be staged on the real PyPI. The distributions are canaries: a module that writes a
file when imported, an sdist whose build writes one. It can also offer projects honestly. The
server itself records requests and downloads.
"""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.distributions import core_metadata, wheel

VERSION = "99.0"


@dataclass
class Hostile:
    """A running server: its simple index, its requests, and the file that canaries write."""

    url: str
    canary: Path
    honest: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)
    """The headers of each request."""

    @property
    def downloads(self) -> list[str]:
        """Return the canaries that were downloaded."""
        files = [path for path in self.asked if path.endswith((".whl", ".tar.gz"))]
        honest = tuple(f"/files/{project.replace('-', '_')}-1.0" for project in self.honest)
        return [path for path in files if not (honest and path.startswith(honest))]

    def settings(self) -> dict[str, str]:
        """Return variables that make this PyPI for pip, uv and Poetry (its mirror plugin)."""
        return {
            "PIP_INDEX_URL": self.url,
            "UV_DEFAULT_INDEX": self.url,
            "POETRY_PYPI_MIRROR_URL": self.url,
        }

    def silent(self) -> None:
        """Assert that no canary was downloaded, built or imported."""
        assert self.downloads == []
        assert not self.canary.exists()


@contextmanager
def hostile(folder: Path, *projects: str, honest: tuple[str, ...] = ()) -> Iterator[Hostile]:
    """Serve `projects` at version 99, and `honest` ones at 1.0, until the block ends."""
    canary = folder / "canary"
    body = f"open({str(canary)!r}, 'a').write(__name__)"
    files: dict[str, bytes] = {}
    for project in projects:
        for made in (wheel(folder, project, VERSION, body=body), _sdist(folder, project, body)):
            files[made.name] = made.read_bytes()
    for project in honest:
        made = wheel(folder, project, "1.0")
        files[made.name] = made.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    found = Hostile(f"http://127.0.0.1:{server.server_port}/simple/", canary, honest)
    server.RequestHandlerClass = _handler(found, files)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(found: Hostile, files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.headers.append(self.headers)
            last = self.path.rstrip("/").split("/")[-1]
            start = last.replace("-", "_")
            own = [
                name for name in files if name.startswith((f"{start}-{VERSION}", f"{start}-1.0"))
            ]
            if last in files:
                self._answer(files[last], "application/octet-stream")
            elif own:
                # Absolute, as PyPI's: a page is also read at another address.
                base = found.url.removesuffix("/simple/")
                links = "".join(f'<a href="{base}/files/{name}">{name}</a>\n' for name in own)
                self._answer(f"<!doctype html><html><body>{links}</body></html>".encode())
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

        def _answer(self, body: bytes, kind: str = "text/html") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            # As PyPI sends them.
            self.send_header("Cache-Control", "max-age=600, public")
            self.send_header("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    return Handler


def _sdist(folder: Path, project: str, body: str) -> Path:
    name = project.replace("-", "_")
    path = folder / f"{name}-{VERSION}.tar.gz"
    setup = f"{body}\nfrom setuptools import setup\nsetup(name={project!r}, version={VERSION!r})\n"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in {"PKG-INFO": core_metadata(project, VERSION), "setup.py": setup}.items():
            member = tarfile.TarInfo(f"{name}-{VERSION}/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
