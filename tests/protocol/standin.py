"""A stand-in for S3 on loopback that answers as AWS does where moto's server cannot.

moto has no expired tokens, other regions or throttling, verifies no checksums and loses no
responses. Statuses, headers and bodies here are those of AWS's documentation (Amazon S3 API
Reference, "Error responses"). All other requests are forwarded to moto's server.
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
    """A request as received."""

    method: str
    key: str
    headers: dict[str, str]
    body: bytes
    bucket: str = ""
    query: str = ""


@dataclass(frozen=True)
class Answer:
    """A response; `status` 0 closes the connection instead."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Rule = Callable[[Seen], Answer | None]
"""Returns a response, or None to forward the request to moto."""


def error(status: int, code: str, message: str, more: str = "", **headers: str) -> Answer:
    """Return an error response in S3's format."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status,
        {"Content-Type": "application/xml", **named},
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode(),
    )


@dataclass
class StandIn:
    """A running stand-in: its address and the requests it received."""

    url: str
    seen: list[Seen] = field(default_factory=list)

    def puts(self) -> list[str]:
        """Return the keys of the received PUTs."""
        return [seen.key for seen in self.seen if seen.method == "PUT"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that died: tests kill them."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def standing_in(rule: Rule, upstream: str) -> Iterator[StandIn]:
    """Run a stand-in that applies a rule and forwards all other requests to `upstream`."""

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
            # A body shorter than its headers say is cut off: close the connection.
            said = int(answer.headers.get("Content-Length", len(answer.body)))
            self.close_connection = self.command != "HEAD" and said > len(answer.body)

        # http.server looks up these names.
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
    """Forward a request and return the response."""
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
    """Refuse a PUT whose body does not match its checksum, as AWS does and moto does not."""
    digest = b64encode(sha256(seen.body).digest()).decode()
    if seen.method == "PUT" and seen.headers.get("x-amz-checksum-sha256", digest) != digest:
        return error(400, "BadDigest", "The SHA256 you specified did not match what we received.")
    return None
