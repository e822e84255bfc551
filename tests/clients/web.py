"""Run nginx with docs/operations.md's printed blocks, at addresses of this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.printed import blocks
from tests.template.baking import TEMPLATE, run
from tests.world import Library

TEXT = (TEMPLATE / "docs" / "operations.md").read_text(encoding="utf-8")
MODULES = "/usr/lib/nginx/modules"
"""Debian's folder of nginx modules."""
HEADING = "## The same index on ordinary machines"
NGINX = """{modules}{user}daemon off;
pid nginx.pid;
events {{ }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    {site}
}}
"""
PASSWORD = "a-password-of-the-tests"


@dataclass(frozen=True)
class Machine:
    """A machine with a copy of the index, and nginx listening on `port`."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Return the address at which readers find the index."""
        return f"https://localhost:{self.port}"

    @property
    def tree(self) -> Path:
        """Return the folder of the copy."""
        return self.folder / "tree"

    def mirror(self, library: Library) -> str:
        """Run the printed command that updates the copy; return what it prints."""
        [command] = [block for block in blocks(TEXT, HEADING) if "mirror.py" in block]
        for printed, here in {
            "python mirror.py": f"{sys.executable} {TEMPLATE}/docs/examples/mirror.py",
            "acme-packages": library.index.bucket,
            "/srv/packages": str(self.tree),
        }.items():
            command = command.replace(printed, here)
        return run(["bash", "-euc", command], self.folder)


def certificate(folder: Path) -> Path:
    """Make this machine's key and certificate; return the certificate, for clients to trust."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    # uv rejects a server's certificate that may also sign others.
    command += " -addext basicConstraints=critical,CA:FALSE"
    run([*command.split(), "-keyout", "packages.key", "-out", "packages.crt"], folder)
    return folder / "packages.crt"


@contextmanager
def machine(folder: Path, tls: Path) -> Iterator[Machine]:
    """Run a machine with the printed site and a password, and an empty copy."""
    folder.mkdir()
    made = Machine(folder, free_port())
    [password] = [block for block in blocks(TEXT, HEADING) if "htpasswd" in block]
    run(["bash", "-euc", password.replace("/etc/nginx", str(folder))], folder, text=PASSWORD)
    site = blocks(TEXT, HEADING, "nginx")[0].replace("/srv/packages", str(made.tree))
    with serving(site, made, tls):
        yield made


@contextmanager
def balancer(folder: Path, tls: Path, behind: tuple[Machine, Machine]) -> Iterator[Machine]:
    """Run the printed load balancer for two machines."""
    folder.mkdir()
    made = Machine(folder, free_port())
    site = blocks(TEXT, HEADING, "nginx")[1]
    for number, other in enumerate(behind, 11):
        site = site.replace(f"10.0.0.{number}:443", f"127.0.0.1:{other.port}")
    with serving(site, made, tls):
        yield made


@contextmanager
def serving(site: str, made: Machine, tls: Path) -> Iterator[None]:
    """Run nginx with a site, its addresses and paths replaced by the machine's."""
    for printed, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{made.port} ssl",
        "/etc/nginx/packages.htpasswd": f"{made.folder}/packages.htpasswd",
        "/etc/nginx/packages": str(tls.with_suffix("")),
    }.items():
        assert printed in site or "htpasswd" in printed, printed
        site = site.replace(printed, here)
    # As root, nginx would read as another user, who cannot enter the tests' folders.
    user = "user root;\n" if os.geteuid() == 0 else ""
    modules = f"load_module {MODULES}/ngx_http_perl_module.so;\n" if "perl_set" in site else ""
    (made.folder / "nginx.conf").write_text(NGINX.format(modules=modules, user=user, site=site))
    command = ["nginx", "-p", str(made.folder), "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(command) as process:
        try:
            while not reachable(made.port):
                assert process.poll() is None, (made.folder / "error.log").read_text()
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        return int(there.getsockname()[1])


def reachable(port: int) -> bool:
    """Tell whether a port accepts connections."""
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


def reader(folder: Path, tls: Path) -> Mapping[str, str]:
    """Write a reader's ~/.netrc; return variables that make clients trust the certificate."""
    [netrc] = blocks(TEXT, HEADING, "text")
    netrc = netrc.replace("packages.example.com", "localhost").replace("…", PASSWORD)
    (folder / ".netrc").write_text(netrc)
    (folder / ".netrc").chmod(0o600)
    names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return {**dict.fromkeys(names, str(tls)), "PASSWORD": PASSWORD}
