"""nginx and CloudFront give the same answers at the edge, request by request.

nginx is real, with docs/examples/nginx.conf. CloudFront has no emulator, so a stand-in runs the
functions of docs/examples/edge.yaml (tests.edge.cloudfront).
"""

import base64
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from s3index.pages import CONTENT_TYPE
from tests.clients.clients import consumer
from tests.clients.hostile import Hostile, hostile
from tests.clients.web import certificate, free_port
from tests.distributions import wheel
from tests.edge.cloudfront import cloudfront
from tests.edge.nginx import nginx, token_line
from tests.edge.store import Store
from tests.world import Library, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tests.clients.web import Machine

pytestmark = pytest.mark.full
TOKEN = "reader.a-token-of-the-tests"
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


FAULTS = ("400", "403", "429", "500", "503", "hangs", "closes", "refuses", "half a page")


@contextmanager
def failing(fault: str) -> Iterator[str]:
    """Run a bucket with one of FAULTS; yield its address."""
    if fault == "refuses":
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{nobody.getsockname()[1]}"
        return
    done = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if fault.isdigit():
                self.send_error(int(fault))
            elif fault == "hangs":
                done.wait(20)
            elif fault == "half a page":
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"meta":')
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        done.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Answer:
    """An edge's answer."""

    status: int
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Edge:
    """A kind of edge, and how to start it."""

    kind: str
    tls: Path
    folder: Path

    @contextmanager
    def __call__(
        self, bucket: str, pypi: str, tokens: Sequence[str] | None = None
    ) -> "Iterator[Asked]":
        """Run the edge before a bucket and a PyPI; `tokens` may read, or everyone if None."""
        if self.kind == "nginx":
            lines = tokens and [token_line(self.folder, "reader", each) for each in tokens]
            with nginx(self.folder / "edge", self.tls, bucket, pypi, lines) as machine:
                yield Asked(machine, self.tls)
            return
        store = Store(self.folder / "store.json")
        store.write({each.split(".")[0]: f"{digest_of(each)} 0" for each in tokens or ()})
        readers = "everybody" if tokens is None else "token"
        with cloudfront(self.folder / "edge", self.tls, bucket, pypi, store, readers) as machine:
            yield Asked(machine, self.tls)


@dataclass(frozen=True)
class Asked:
    """A running edge that takes requests."""

    machine: "Machine"
    tls: Path

    def __call__(
        self,
        path: str,
        login: str | None = None,
        method: str = "GET",
        scheme: str = "Basic",
        **headers: str,
    ) -> Answer:
        """Request a path as is, following no redirects; `login` is user:password."""
        context = ssl.create_default_context(cafile=str(self.tls))
        connection = http.client.HTTPSConnection(
            "localhost", self.machine.port, context=context, timeout=15
        )
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if login is not None:
            coded = base64.b64encode(login.encode(errors="surrogateescape")).decode()
            sent["Authorization"] = f"{scheme} {coded}"
        try:
            connection.request(method, path, headers=JSON | sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def follow(self, path: str, login: str | None = None) -> tuple[str, Answer]:
        """Request, following redirects within the edge; return the last path and its answer."""
        for _ in range(5):
            answer = self(path, login)
            if answer.status not in (301, 302):
                return path, answer
            path = answer.headers["Location"].removeprefix(f"https://localhost:{self.machine.port}")
            assert path.startswith("/"), path
        raise AssertionError(f"{path} has no end")


@pytest.fixture(params=["nginx", "CloudFront"])
def edge(request: pytest.FixtureRequest, tmp_path: Path) -> Edge:
    return Edge(request.param, certificate(tmp_path), tmp_path)


def digest_of(token: str) -> str:
    """Return a token's digest as in the key value store."""
    return sha256(token.encode()).hexdigest()


@pytest.fixture
def pypi(tmp_path: Path) -> Iterator[Hostile]:
    with hostile(tmp_path, "acme-common", "acme-new", honest=("from-pypi",)) as found:
        yield found


@pytest.fixture
def ours(library: Library, tmp_path: Path) -> Library:
    release(library, wheel(tmp_path))
    return library


def is_ours(answer: Answer) -> bool:
    """Tell whether an answer is the organisation's page of acme-common."""
    return answer.status == 200 and b'"acme_common-0.1.0-py3-none-any.whl"' in answer.body


NAMES = (
    "Acme-Common",
    "acme_common",
    "acme.common",
    "ACME-._-common",
    "acme%2Dcommon",
    "%61cme-common",
)


def test_names_are_normalized_before_any_origin(edge: Edge, ours: Library, pypi: Hostile) -> None:
    with edge(ours.index.url, pypi.url) as ask:
        for name in NAMES:
            for path in (
                f"/simple/{name}",
                f"/simple/{name}/",
                f"/simple//{name}/",
                f"//simple/{name}//",
            ):
                assert ask(path).status == 301, path
                found, answer = ask.follow(path)
                assert (found, is_ours(answer)) == ("/simple/acme-common/", True), path
        assert is_ours(ask("/simple/acme-common/"))
        assert ask("/simple").headers["Location"].endswith("/simple/")
        assert pypi.asked == []
        found, answer = ask.follow("/simple/From_PyPI")
        assert (found.removeprefix("/pypi"), answer.status) == ("/simple/from-pypi/", 200)


def test_what_is_ours_is_never_asked_of_pypi(edge: Edge, ours: Library, pypi: Hostile) -> None:
    with edge(ours.index.url, pypi.url) as ask:
        listed = json.loads(ask("/simple/").body)
        assert [each["name"] for each in listed["projects"]] == ["acme-common"]
        assert b"acme-common @ " in ask("/simple/constraints.txt").body
        file = "/packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl"
        whole = ask(file)
        assert whole.status == 200
        assert ask(f"{file}.metadata").status == 200
        part = ask(file, Range="bytes=0-9")
        assert (part.status, part.body) == (206, whole.body[:10])
        assert ask("/simple/acme-common/", method="HEAD").body == b""
        found, answer = ask.follow("/")
        assert (found, answer.status) == ("/dumb-pypi/index.html", 200)
        assert b"<title>Packages of devtools</title>" in answer.body
        page = "/dumb-pypi/devtools/index/simple/acme-common/"
        assert ask(page).headers["Content-Type"].startswith("text/html")
        for path in (
            "/packages/devtools/nobody/",
            f"{file}.asc",
            "/dumb-pypi/nobody/",
            "/favicon.ico",
            "/simple/a/b/",
            "/simple/acme common/",
            "/pypi",
            "/packages/../simple/from-pypi/../../etc/passwd",
        ):
            assert ask(path.replace(" ", "%20")).status in (403, 404), path
        assert pypi.asked == []


def test_the_rest_is_pypis(edge: Edge, ours: Library, pypi: Hostile) -> None:
    with edge(ours.index.url, pypi.url) as ask:
        _, answer = ask.follow("/simple/from-pypi/")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert answer.headers.get_all("Cache-Control") == ["no-cache"]
        assert "Strict-Transport-Security" not in answer.headers
        assert ask.follow("/simple/nobody-has-this/")[1].status == 404
        assert pypi.asked == ["/simple/from-pypi/", "/simple/nobody-has-this/"]
        assert [each["Accept"] for each in pypi.headers] == [JSON["Accept"]] * 2


def test_the_first_release_of_a_name_counts_at_once(
    edge: Edge, library: Library, s3: "S3Client", pypi: Hostile
) -> None:
    with edge(library.index.url, pypi.url) as ask:
        assert b"99.0" in ask.follow("/simple/acme-new/")[1].body
        bucket, key = library.index.bucket, "simple/acme-new/"
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}", ContentType=CONTENT_TYPE)
        # Even for a client that has cached PyPI's page, and one that wants HTML.
        later = "Fri, 01 Jan 2100 00:00:00 GMT"
        for headers in ({}, {"If_Modified_Since": later}, {"Accept": "text/html"}):
            answer = ask("/simple/acme-new/", **headers)
            assert (answer.status, answer.body) == (200, b"{}"), headers


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bucket_that_fails_is_not_a_name_that_is_missing(
    fault: str, edge: Edge, pypi: Hostile
) -> None:
    with failing(fault) as bucket, edge(bucket, pypi.url) as ask:
        try:
            path, answer = ask.follow("/simple/acme-common/")
        except http.client.IncompleteRead:
            assert fault == "half a page"
        else:
            assert path == "/simple/acme-common/"
            expected = {"hangs": 504}.get(fault, 502)
            assert answer.status == (int(fault) if fault.isdigit() else expected)
        assert pypi.asked == []


@pytest.mark.parametrize("fault", ["403", "503", "closes", "half a page"])
@pytest.mark.parametrize("client", ["pip", "uv"])
def test_clients_stop_at_a_bucket_that_fails(
    fault: str,
    client: str,
    edge: Edge,
    pypi: Hostile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(edge.tls))
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    person = consumer(tmp_path / "person")
    with failing(fault) as bucket, edge(bucket, pypi.url) as ask:
        index = f"{ask.machine.url}/simple/"
        command = {
            "pip": f"pip install --index-url {index} acme-common",
            "uv": f"uv pip install --default-index {index} acme-common",
        }[client]
        with pytest.raises(AssertionError, match=f"{client} .*install"):
            person.shell(command)
        pypi.silent()
        assert pypi.asked == []


def test_private_names_do_not_need_pypi(edge: Edge, ours: Library) -> None:
    with edge(ours.index.url, f"http://127.0.0.1:{free_port()}/simple/") as ask:
        assert is_ours(ask("/simple/acme-common/"))
        assert ask.follow("/simple/from-pypi/")[1].status == 502


def test_only_reading(edge: Edge, ours: Library, pypi: Hostile) -> None:
    with edge(ours.index.url, pypi.url) as ask:
        for method in ("PUT", "POST", "DELETE"):
            for path in ("/simple/acme-common/", "/simple/from-pypi/", "/packages/x", "/simple/"):
                assert ask(path, method=method).status in (403, 405), (method, path)
        assert pypi.asked == []


GOOD = (f"reader:{TOKEN}",)
BAD = (
    "reader:wrong",
    f"reader:{TOKEN}x",
    f"reader:{TOKEN[:-1]}",
    "reader:",
    "reader",
    ":",
    "",
    "reader:tökén",
    "reader:\udcff\udcfe",
    "reader:" + "x" * 5_000,
)


def test_a_token_opens_every_path_and_reaches_no_origin(
    edge: Edge, ours: Library, pypi: Hostile
) -> None:
    with edge(ours.index.url, pypi.url, [TOKEN]) as ask:
        for login in GOOD:
            for scheme in ("Basic", "basic", "BASIC"):
                assert is_ours(ask("/simple/acme-common/", login, scheme=scheme)), (login, scheme)
            assert ask.follow("/simple/from-pypi/", login)[1].status == 200
        assert all("Authorization" not in each for each in pypi.headers)
        for path in ("/simple/", "/simple/acme-common/", "/packages/devtools/"):
            for bad in (None, *BAD):
                answer = ask(path, bad)
                assert answer.status == 401, (path, bad)
                assert answer.headers["WWW-Authenticate"].startswith('Basic realm="packages"')
        assert ask("/simple/acme-common/", TOKEN, scheme="Bearer").status == 401
        # A header beyond the edge's limit is not read.
        assert ask("/simple/acme-common/", "reader:" + "x" * 10_000).status in (400, 401, 413, 494)
        assert len(pypi.asked) == len(GOOD)
        # A redirect does not reveal whether the project exists.
        assert ask("/simple/Nobody").status == 301


@pytest.fixture
def cdn(tmp_path: Path) -> Edge:
    return Edge("CloudFront", certificate(tmp_path), tmp_path)


def test_any_user_and_a_token_as_the_user(cdn: Edge, ours: Library, pypi: Hostile) -> None:
    with cdn(ours.index.url, pypi.url, [TOKEN]) as ask:
        for login in (f"anybody:{TOKEN}", f":{TOKEN}", f"{TOKEN}:", f"tökén:{TOKEN}"):
            assert is_ours(ask("/simple/acme-common/", login)), login
        for login in (TOKEN, f"{TOKEN}:x", f"{TOKEN}:{TOKEN}x", "reader:reader", "reader:reader."):
            assert ask("/simple/acme-common/", login).status == 401, login


def test_expired_and_revoked_tokens_of_many(cdn: Edge, ours: Library, pypi: Hostile) -> None:
    soon = int(time.time()) + 3
    with cdn(ours.index.url, pypi.url, [f"r{number}.secret" for number in range(200)]) as ask:
        store = Store(cdn.folder / "store.json")
        kept = store.read()
        assert len(kept) == 200
        kept["expired"] = f"{digest_of('expired.secret')} {soon - 4}"
        kept["ending"] = f"{digest_of('ending.secret')} {soon}"
        kept["odd"] = digest_of("odd.secret")
        store.write(kept)

        def status(token: str) -> int:
            return ask("/simple/acme-common/", f"reader:{token}").status

        assert {status(f"r{number}.secret") for number in range(0, 200, 20)} == {200}
        assert [status(f"{name}.secret") for name in ("expired", "odd", "r200")] == [401] * 3
        # No other secret is accepted, nor is a digest.
        assert status("r1.secret2") == status("r1.r2.secret") == status(kept["r1"][:64]) == 401
        assert status("ending.secret") == 200
        del kept["r7"]
        store.write(kept)
        assert [status("r7.secret"), status("r8.secret")] == [401, 200]
        time.sleep(max(0, soon - time.time()) + 0.1)
        assert status("ending.secret") == 401


def test_no_store_is_no_entry(cdn: Edge, ours: Library, pypi: Hostile) -> None:
    with cdn(ours.index.url, pypi.url, [TOKEN]) as ask:
        Store(cdn.folder / "store.json").file.unlink()
        assert ask("/simple/acme-common/", f"reader:{TOKEN}").status == 401


def test_pages_of_pypi_are_kept_by_what_was_asked_for(
    cdn: Edge, ours: Library, pypi: Hostile
) -> None:
    with cdn(ours.index.url, pypi.url) as ask:
        path, _ = ask.follow("/simple/from-pypi/")
        assert path == "/pypi/simple/from-pypi/"
        ask(path, Accept="text/html")
        assert [each["Accept"] for each in pypi.headers] == [JSON["Accept"], "text/html"]
        # Our names never redirect there, and only project pages exist there.
        for other in ("/pypi/", "/pypi/simple/", "/pypi/simple/a/b/", "/pypi/simple/A/", "/pypi/x"):
            assert ask(other).status == 404, other
