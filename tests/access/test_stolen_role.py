"""If a stolen role poisons a shared list, verify names it at once and repair undoes it.

docs/operations.md lists what a stolen role can do; test_privilege covers what it cannot.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.access.administrator import BUCKET
from tests.access.test_privilege import SHARED, Session, session
from tests.commands import s3index, start
from tests.distributions import wheel

__all__ = ["session"]

pytestmark = pytest.mark.full
STRANGER = b"https://stranger.example/acme_core-99-py3-none-any.whl"


def other_version(body: bytes) -> bytes:
    """Return a poisoned list that claims to come from another version of s3index.

    It has all serials and digests, but one digest is in a comment.
    """
    poisoned = re.sub(rb"(acme-core @ )\S+(#sha256=)", rb"\1" + STRANGER + rb" \2", body)
    return poisoned + b"# by s3index 9.9.9, dumb-pypi 1.15.0\n"


POISONS: dict[str, tuple[list[str], Callable[[bytes], bytes]]] = {
    "another name": (SHARED, lambda body: body.replace(b"acme-core", b"acme-evil")),
    "a stranger's file": (
        [key for key in SHARED if key.endswith("constraints.txt")],
        lambda body: re.sub(rb"(acme-core @ )\S+", rb"\1" + STRANGER, body),
    ),
    "another version of s3index": (
        [key for key in SHARED if key.endswith("constraints.txt")],
        other_version,
    ),
    "no page": (SHARED, lambda _: b"{"),
    "a newer state": (
        SHARED,
        lambda body: re.sub(
            rb'("(?:devtools/)?acme-[a-z]+":|"_last-serial":) ?(\d+)', rb"\g<1>9\2", body
        ),
    ),
}


@pytest.fixture
def released(session: Session, tmp_path: Path) -> Session:
    """Release acme-common and its neighbour acme-core, as an administrator."""
    root, env = session.library.root, session.administrators_env
    text = (root / "pyproject.toml").read_text()
    for project in ("acme-core", "acme-common"):
        (root / "pyproject.toml").write_text(text.replace("acme-common", project, 1))
        s3index(root, "publish", wheel(tmp_path, project), env=env)
    return session


@pytest.mark.parametrize("poison", POISONS)
def test_poisoned_lists_are_named_and_repaired(
    released: Session, tmp_path: Path, poison: str
) -> None:
    keys, change = POISONS[poison]
    root, s3 = released.library.root, released.s3
    for key in keys:
        stored = s3.get_object(Bucket=BUCKET, Key=key)
        body = stored["Body"].read()
        assert change(body) != body, key
        s3.put_object(Bucket=BUCKET, Key=key, Body=change(body), IfMatch=stored["ETag"])
    found = printed(root, released.env)
    assert [key for key in keys if f"{key}:" not in found] == []
    if poison == "a newer state":
        file, env = wheel(tmp_path), released.administrators_env
        assert "older state" in s3index(root, "publish", file, env=env, exits=1)
    s3index(root, "repair", env=released.administrators_env)
    s3index(root, "verify", env=released.env)


def printed(root: Path, env: dict[str, str]) -> str:
    """Return the output of verify, run as the role, which must find something."""
    process = start(root, "verify", env=env)
    stdout, stderr = process.communicate()
    assert process.returncode == 1, stdout + stderr
    assert "Traceback" not in stderr
    return stdout
