"""On ordinary machines, nginx serves the same index with docs/operations.md's site and copy.

TLS, a password, real nginx and real clients; only addresses and paths differ from the page.
"""

import base64
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index import install
from s3index.repair import repair
from s3index.s3 import Bucket
from tests.clients.clients import consumer
from tests.clients.hostile import hostile
from tests.clients.web import (
    HEADING,
    PASSWORD,
    TEXT,
    Machine,
    balancer,
    certificate,
    machine,
    reader,
)
from tests.distributions import sdist, wheel
from tests.docs.printed import blocks
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full
OBSOLETE = re.compile(r"/index/(simple/(index\.html)?|pypi/.*)$")
"""Keys of 0.2.0 that no client reads and the copy omits."""


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    return certificate(tmp_path)


@pytest.fixture
def web(tmp_path: Path, tls: Path) -> Iterator[Machine]:
    with machine(tmp_path / "web", tls) as made:
        yield made


def get(url: str, tls: Path, password: str = PASSWORD) -> tuple[int, str, bytes]:
    """Query nginx; return status, Content-Type and body."""
    request = urllib.request.Request(url)
    token = base64.b64encode(f"reader:{password}".encode()).decode()
    if password:
        request.add_header("Authorization", f"Basic {token}")
    try:
        context = ssl.create_default_context(cafile=str(tls))
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", b""


@pytest.mark.parametrize("client", ["pip", "uv", "Poetry"])
def test_installing_from_nginx(
    client: str,
    library: Library,
    web: Machine,
    tls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Release with the bucket's own address, then set `url` and run `repair` once.
    release(at(library, "0.1.0", "acme-core"), wheel(tmp_path, "acme-core"))
    release(library, wheel(tmp_path, requires=("acme-core",)))
    served = replace(library.index, url=web.url)
    assert Bucket(library.index).run(repair(served)) == []
    web.mirror(library)
    with hostile(tmp_path, "acme-common", "acme-core") as stranger:
        person = consumer(tmp_path / "person")
        for name, value in {**stranger.settings(), **reader(person.folder, tls)}.items():
            monkeypatch.setenv(name, value)
        [login] = [block for block in blocks(TEXT, HEADING) if "http-basic" in block]
        before = login if client == "Poetry" else ""
        person.shell(before + install.commands(web.url, library.index.bucket, library.name)[client])
        assert (person.version(), person.version("acme_core")) == ("0.1.0", "0.1.0")
        stranger.silent()


def test_every_object_is_served_as_on_s3(
    s3: "S3Client", library: Library, web: Machine, tls: Path, tmp_path: Path
) -> None:
    release(library, wheel(tmp_path), sdist(tmp_path))
    page = "application/vnd.pypi.simple.v1+json"
    for name, kind in {"": page, "acme-core/": page, "constraints.txt": "text/plain"}.items():
        key = f"simple/{name}"
        s3.put_object(Bucket=library.index.bucket, Key=key, Body=b"{}", ContentType=kind)
    assert web.mirror(library).startswith("2 files and ")
    for key, body in objects(s3, library.index).items():
        if "/release-" in key or OBSOLETE.search(key):
            assert get(f"{web.url}/{key}", tls)[0] == 404, key
            continue
        status, kind, served = get(f"{web.url}/{key}", tls)
        assert (status, served) == (200, body), key
        stored = s3.head_object(Bucket=library.index.bucket, Key=key)["ContentType"]
        assert kind.split(";")[0] == stored.split(";")[0], key


def test_what_is_not_there_is_404_and_needs_the_password(
    library: Library, web: Machine, tls: Path, tmp_path: Path
) -> None:
    release(library, wheel(tmp_path))
    web.mirror(library)
    for folder in ("packages/devtools/no-page", "simple/no-page"):
        (web.tree / folder).mkdir(parents=True)
    for path in ("", "dumb-pypi/"):
        status, _, body = get(f"{web.url}/{path}", tls)
        assert (status, b"<title>Packages of devtools</title>" in body) == (200, True), path
    missing = ("packages/", "packages/devtools", "packages/devtools/nobody/", "dumb-pypi/devtools/")
    folders = ("packages/devtools/no-page/", "packages/other/acme-common/", "simple/no-page/")
    for path in (*missing, *folders, "simple", "simple/nobody/", "simple/acme-common"):
        assert get(f"{web.url}/{path}", tls)[0] == 404, path
    assert get(f"{web.url}/packages/devtools/", tls)[0] == 200
    for password in ("", "wrong"):
        assert get(f"{web.url}/packages/devtools/", tls, password)[0] == 401


def test_two_machines_behind_a_load_balancer(library: Library, tls: Path, tmp_path: Path) -> None:
    release(library, wheel(tmp_path))
    with machine(tmp_path / "one", tls) as one:
        with (
            machine(tmp_path / "two", tls) as two,
            balancer(tmp_path / "balancer", tls, (one, two)) as front,
        ):
            one.mirror(library)
            two.mirror(library)
            release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
            one.mirror(library)
            # The file that only one machine has is found, whichever is tried first.
            page = f"{front.url}/packages/devtools/acme-common/"
            for _ in range(4):
                status, _, body = get(f"{page}acme_common-0.2.0-py3-none-any.whl", tls)
                assert (status, body) == (
                    200,
                    (tmp_path / "acme_common-0.2.0-py3-none-any.whl").read_bytes(),
                )
            assert get(f"{front.url}/packages/devtools/nobody/", tls)[0] == 404
            assert get(page, tls, "wrong")[0] == 401
            two.mirror(library)
        # `two` stopped with the balancer; `one` serves alone behind another.
        with balancer(tmp_path / "again", tls, (one, two)) as front:
            for _ in range(4):
                body = get(f"{front.url}/packages/devtools/acme-common/", tls)[2]
                assert json.loads(body)["versions"] == ["0.1.0", "0.2.0"]
