"""`s3index token` works, with real boto3, moto's CloudFront, and a stand-in for what moto lacks."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner, Result

from s3index import tokens
from s3index.__main__ import app
from tests.access.administrator import repository
from tests.edge.store import Service, Store, serving


@pytest.fixture
def service(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    cloudfront = boto3.client("cloudfront", region_name="us-east-1")
    cloudfront.create_key_value_store(Name="acme-packages")
    with serving(Store(tmp_path / "store.json")) as made:
        # boto3 prefixes the host name with the account number, so a proxy has to answer.
        url = "http://keys.example"
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE", url)
        monkeypatch.setenv("HTTP_PROXY", made.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield made
    described = cloudfront.describe_key_value_store(Name="acme-packages")
    cloudfront.delete_key_value_store(Name="acme-packages", IfMatch=described["ETag"])


def run(*arguments: str) -> Result:
    """Run `s3index token`."""
    return CliRunner().invoke(app, ["token", *arguments])


def test_a_token_is_shown_once_and_only_its_digest_is_kept(service: Service) -> None:
    done = run("add", "alice-laptop")
    assert done.exit_code == 0, done.output
    token = done.stdout.strip()
    assert re.fullmatch(r"alice-laptop\.[\w-]{43}", token)
    assert service.store.read() == {"alice-laptop": f"{sha256(token.encode()).hexdigest()} 0"}
    again = run("add", "alice-laptop")
    assert again.exit_code == 1
    assert "Token alice-laptop already exists. Revoke it first" in again.stderr
    assert "alice-laptop" in service.store.read()
    assert run("revoke", "alice-laptop").stdout == "alice-laptop is revoked.\n"
    assert service.store.read() == {}
    gone = run("revoke", "alice-laptop")
    assert (gone.exit_code, "No token alice-laptop." in gone.stderr) == (1, True)


def test_tokens_end_and_are_listed(service: Service) -> None:
    assert run("add", "ci", "--expires", "90d").exit_code == 0
    day = datetime.now(UTC) + timedelta(90)
    end = int(service.store.read()["ci"].split()[1])
    assert abs(end - day.timestamp()) < 60
    digest = "0" * 64
    others = {f"r{number}": f"{digest} 0" for number in range(120)}
    odd = {"x\x1b[31m": "what", "old": f"{digest} 1577836800"}
    service.store.write(service.store.read() | others | odd)
    lines = run("list").stdout.splitlines()
    assert len(lines) == 123
    assert lines == sorted(lines)
    assert f"ci  expires {day:%Y-%m-%d}" in lines
    assert "old  expired 2020-01-01" in lines
    assert "r119  never expires" in lines
    assert "x\\x1b[31m  not a token: revoke it" in lines


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Alice"),
        ("add", "alice_laptop"),
        ("add", "a.b"),
        ("add", "x" * 65),
        ("add", "alice", "--expires", "soon"),
        ("add", "alice", "--expires", "0d"),
        ("revoke", "../x"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], service: Service) -> None:
    assert run(*arguments).exit_code == 2
    assert service.asked == []


def test_two_administrators_at_once(service: Service) -> None:
    service.busy = True
    done = run("add", "alice")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: The tokens were changed at the same time. Run it again.\n"
    assert service.store.read() == {}


def test_without_an_edge_or_the_runtime(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path, {"bucket": "acme-other"})
    done = run("list")
    assert done.exit_code == 1
    assert "CloudFront has no key value store acme-other." in done.stderr
    monkeypatch.setattr(tokens, "HAS_CRT", False)
    done = run("list")
    assert done.exit_code == 1
    assert "an s3index with it: pipx install --force 's3index[build,edge," in done.stderr
