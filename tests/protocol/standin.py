"""A stand-in for S3 on loopback: it answers as AWS does where moto's server cannot.

moto knows no expired tokens, no other regions, no throttling, verifies no checksums and loses no
answers. Bodies, headers and status of what is answered here are those of AWS's documentation
(Amazon S3 API Reference, "Error responses"). Everything else goes on to moto's server.
"""

import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    key: str
    headers: dict[str, str]
    body: bytes
    bucket: str = ""
    query: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer; `status` 0 hangs up instead."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Rule = Callable[[Seen], Answer | None]
"""Returns an answer, or None for what goes on to moto."""


def error(status: int, code: str, message: str, more: str = "", **headers: str) -> Answer:
    """Return an error as S3 writes it."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status,
        {"Content-Type": "application/xml", **named},
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode(),
    )


@dataclass
class StandIn:
    """A running stand-in: its address, and what it has seen."""

    url: str
    seen: list[Seen] = field(default_factory=list)

    def puts(self) -> list[str]:
        """Return the keys of the PUTs that came in."""
        return [seen.key for seen in self.seen if seen.method == "PUT"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that died, as tests let them."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def standing_in(rule: Rule, upstream: str) -> Iterator[StandIn]:
    """Run a stand-in that follows a rule, and passes the rest on to `upstream`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionError("the client died while it sent")
            url = urlsplit(self.path)
            bucket, _, key = unquote(url.path).partition("/")[2].partition("/")
            seen = Seen(self.command, key, dict(self.headers), body, bucket, url.query)
            stand_in.seen.append(seen)
            answer = rule(seen) or forward(upstream, self.path, seen)
            if not answer.status:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            # A body that is shorter than its headers say was cut off.
            said = int(answer.headers.get("Content-Length", len(answer.body)))
            self.close_connection = self.command != "HEAD" and said > len(answer.body)

        # The names that http.server asks for.
        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

    server = _Server(("127.0.0.1", 0), Handler)
    stand_in = StandIn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forward(upstream: str, path: str, seen: Seen) -> Answer:
    """Send a request on, and return the answer."""
    connection = HTTPConnection(urlsplit(upstream).netloc)
    headers = {name: value for name, value in seen.headers.items() if name != "Expect"}
    connection.request(seen.method, path, seen.body, headers)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    dropped = ("connection", "transfer-encoding")
    kept = {name: value for name, value in reply.headers.items() if name.lower() not in dropped}
    return Answer(reply.status, kept, body)


def verifies_checksums(seen: Seen) -> Answer | None:
    """Refuse a PUT whose body is not what its checksum says, as AWS does and moto does not."""
    digest = b64encode(sha256(seen.body).digest()).decode()
    if seen.method == "PUT" and seen.headers.get("x-amz-checksum-sha256", digest) != digest:
        return error(400, "BadDigest", "The SHA256 you specified did not match what we received.")
    return None
