"""Measure what an installation fetches directly and through an edge: `make bench ONLY=edge`.

A library requires one of another team and twenty projects from PyPI. The edge is nginx with
docs/examples/nginx.conf, without TLS, so that bytes can be counted. Only requests and bytes are
counted, which are the same on every machine; PyPI's files, the same either way, are not.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.choosing import BIN, open_index, open_to_all
from benchmarks.proxy import Proxy
from benchmarks.report import Rows, markdown
from benchmarks.results import size
from tests.clients.hostile import hostile
from tests.clients.web import MODULES, NGINX, free_port, reachable
from tests.distributions import wheel
from tests.edge.nginx import AUTH, CONF
from tests.world import Library, at, release

PUBLIC = tuple(f"public-{number}" for number in range(20))


@dataclass(frozen=True)
class Installation:
    """One client, one way: its requests and bytes for pages and for our files."""

    client: str
    way: str
    requests: int
    received: int


def main() -> None:
    """Measure and print the table that is in docs/benchmarks.md."""
    print(markdown(table(measure())))


def table(found: list[Installation]) -> Rows:
    """Return a row for each installation, as {column: cell}."""
    return [
        {
            "client": f"{one.client} {version(one.client)}",
            "way": one.way,
            "requests": str(one.requests),
            "received": size(one.received),
        }
        for one in found
    ]


def measure() -> list[Installation]:
    """Install with each client, directly and through the edge."""
    with (
        tempfile.TemporaryDirectory() as name,
        open_index() as (s3, bucket, ours),
        hostile(Path(name), ours.name, "acme-frames", honest=PUBLIC) as stranger,
    ):
        folder = Path(name)
        release(at(ours, "1.0", "acme-frames", "data"), wheel(folder, "acme-frames", "1.0"))
        needs = ("acme-frames", *PUBLIC)
        release(at(ours, "1.0"), wheel(folder, ours.name, "1.0", requires=needs))
        open_to_all(s3, ours.index.bucket)
        pypi = Proxy(int(urlsplit(stranger.url).port or 0))
        with _nginx(folder, bucket.address + f"/{ours.index.bucket}", stranger.url) as port:
            edge = Proxy(port)
            found = [
                _installed(client, way, folder, ours, (bucket, pypi, edge))
                for client in ("pip", "uv")
                for way in ("directly", "edge")
            ]
            edge.stop()
        pypi.stop()
    return found


def _installed(
    client: str, way: str, folder: Path, ours: Library, proxies: tuple[Proxy, Proxy, Proxy]
) -> Installation:
    bucket, pypi, edge = proxies
    index, default = f"{ours.index.url}/simple/", f"{pypi.address}/simple/"
    options = {
        ("pip", "directly"): ["-c", f"{index}constraints.txt", "--index-url", default],
        ("uv", "directly"): ["--index", index, "--default-index", default],
        ("pip", "edge"): ["--index-url", f"{edge.address}/simple/"],
        ("uv", "edge"): ["--default-index", f"{edge.address}/simple/"],
    }[client, way]
    python = str(folder / "environment" / "bin" / "python")
    command = {
        "pip": [sys.executable, "-m", "pip", "--python", python, "install", "--no-cache-dir"],
        "uv": [str(BIN / "uv"), "pip", "install", "--no-cache", "--python", python],
    }[client]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull}
    new = [str(BIN / "uv"), "venv", "--quiet", "--clear", str(folder / "environment")]
    subprocess.run(new, env=environment, check=True)
    # The edge's requests to the bucket are not the client's.
    counted = (bucket, pypi) if way == "directly" else (edge,)
    for proxy in proxies:
        proxy.take()
    subprocess.run(
        [*command, *options, ours.name], env=environment, check=True, capture_output=True
    )
    exchanges = [one for proxy in counted for one in proxy.take()]
    return Installation(client, way, len(exchanges), sum(one.received for one in exchanges))


@contextmanager
def _nginx(folder: Path, bucket: str, pypi: str) -> Iterator[int]:
    """Run the documented edge without TLS; yield its port."""
    port = free_port()
    lines = AUTH.sub("", CONF).replace("https://$", "http://$").splitlines(keepends=True)
    site = "".join(line for line in lines if not line.strip().startswith("ssl_"))
    for printed, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port}",
        "acme-packages.s3.eu-central-1.amazonaws.com": bucket.removeprefix("http://"),
        "$pypi PYPI": f"$pypi {urlsplit(pypi).netloc}",
    }.items():
        site = site.replace(printed, here)
    user = "user root;\n" if os.geteuid() == 0 else ""
    modules = f"load_module {MODULES}/ngx_http_perl_module.so;\n"
    (folder / "nginx.conf").write_text(NGINX.format(modules=modules, user=user, site=site))
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(command) as process:
        while not reachable(port):
            time.sleep(0.05)
        yield port
        process.terminate()


if __name__ == "__main__":
    main()
