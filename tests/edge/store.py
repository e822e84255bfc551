"""A small stand-in for the data plane of CloudFront's key value stores, which moto lacks.

It knows the five calls of `s3index token`, their paths, and the ETag that each change requires and
replaces (API reference, CloudFront KeyValueStore). It checks no signatures. It is an HTTP proxy,
since the service's clients prefix the host name with the account number.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

PAGE = 50
"""The most keys that a list has; CloudFront's own has 50 unless fewer are requested."""


@dataclass(frozen=True)
class Store:
    """A store's content, as a file: {key: value}."""

    file: Path

    def read(self) -> dict[str, str]:
        """Return the content."""
        return dict(json.loads(self.file.read_text())) if self.file.exists() else {}

    def write(self, items: dict[str, str]) -> None:
        """Replace the content."""
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(items))
        new.replace(self.file)


@dataclass
class Service:
    """A running stand-in: its store, its address as a proxy, and the requests so far."""

    store: Store
    url: str
    asked: list[str]
    changes: int = 0
    busy: bool = False
    """Whether another client changes the store between any two calls."""


@contextmanager
def serving(store: Store) -> Iterator[Service]:
    """Run the service for a store until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = Service(store, f"http://127.0.0.1:{server.server_port}", [])
    server.RequestHandlerClass = _handler(made)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _found(items: dict[str, str], path: list[str], query: str) -> dict[str, object]:
    """Return a store, a page of its keys, or one key; empty if the name is unknown."""
    counts = {"ItemCount": len(items), "TotalSizeInBytes": 0}
    if len(path) == 1:
        return {"KvsARN": unquote(path[0]), "Created": 0, **counts}
    if len(path) == 2:
        start = int(query.partition("NextToken=")[2].partition("&")[0] or 0)
        listed = [{"Key": name, "Value": items[name]} for name in list(items)[start:]][:PAGE]
        more = {"NextToken": str(start + PAGE)} if len(items) > start + PAGE else {}
        return {"Items": listed, **more}
    name = path[2]
    return {"Key": name, "Value": items[name], **counts} if name in items else {}


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            service.asked.append(f"{self.command} {unquote(address.path)}")
            said = _found(service.store.read(), address.path.split("/")[2:], address.query)
            if said:
                self._say(200, said)
            else:
                self._say(404, {"Message": "Key not found"}, "ResourceNotFoundException")

        def do_PUT(self) -> None:
            service.asked.append(f"{self.command} {unquote(urlsplit(self.path).path)}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            items, name = service.store.read(), self.path.split("/")[-1]
            if self.headers["If-Match"] != f"E{service.changes}":
                self._say(409, {"Message": "ETag does not match"}, "ConflictException")
                return
            if self.command == "PUT":
                items[name] = json.loads(body)["Value"]
            else:
                del items[name]
            service.store.write(items)
            service.changes += 1
            self._say(200, {"ItemCount": len(items), "TotalSizeInBytes": 0})

        do_DELETE = do_PUT  # noqa: N815 (the name that http.server looks for)

        def _say(self, status: int, said: object, error: str = "") -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f"E{service.changes}")
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.end_headers()
            self.wfile.write(body)
            service.changes += service.busy

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    return Handler
