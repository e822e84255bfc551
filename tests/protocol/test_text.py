"""Foreign text (git and GitHub names, reasons, keys) cannot forge lines of a command's output."""

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index import output
from s3index.pages import LONGEST_TEXT
from s3index.verify import verify
from tests.commands import repository, s3index
from tests.distributions import wheel
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import INDEX, Publish, carry_out
from tests.world import Library, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = "packages/devtools/acme-common/"


NAMES = {
    "Latin-1": ("J\udcfcrgen", "J rgen"),
    "a line break": ("octocat\n::error::x", "octocat ::error::x"),
    "an escape": ("\x1b[31moctocat", "[31moctocat"),
    "without end": ("x" * 9_000, "x" * LONGEST_TEXT),
}


@pytest.mark.parametrize("case", NAMES)
@pytest.mark.parametrize("of", ["GitHub", "git"])
def test_who_publishes(
    s3: "S3Client", library: Library, tmp_path: Path, case: str, of: str
) -> None:
    name, shown = NAMES[case]
    root = repository(library, tmp_path / "root")
    env = {"GITHUB_ACTOR": name}
    if of == "git":
        env = {"GITHUB_ACTOR": ""}
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        subprocess.run(["git", "config", "user.name", name], cwd=root, check=True)
        # Bytes that are not UTF-8 become U+FFFD, which is printable.
        shown = shown.replace("J rgen", "J\ufffdrgen")
    s3index(root, "publish", wheel(tmp_path), env=env)
    stored = objects(s3, library.index)
    assert json.loads(stored[f"{PAGE}release-0.1.json"])["uploaded-by"] == shown
    assert json.loads(stored[PAGE])["files"][0]["_uploaded-by"] == shown


def test_the_reason_of_a_yank(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    release(library, wheel(tmp_path))
    root = repository(library, tmp_path / "root")
    before = objects(s3, library.index)
    for reason in ("x" * (LONGEST_TEXT + 1), "caf\udce9"):
        s3index(root, "yank", "0.1.0", "--reason", reason, exits=2)
        assert objects(s3, library.index) == before
    s3index(root, "yank", "0.1.0", "--reason", "it\n\x1b[31mleaks")
    page = json.loads(objects(s3, library.index)[PAGE])
    assert page["files"][0]["yanked"] == "it [31mleaks"


def test_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """A line break before :: would start a command for GitHub's runner."""
    bucket = MemoryBucket()
    carry_out(Publish("0.1.0").start(INDEX), bucket.perform)
    for name in ("x\n::error::y", "\u202egpj.whl", "a\u2028b"):
        bucket.overwrite(PAGE + name, b"")
    output.verified(carry_out(verify(INDEX), bucket.perform))
    lines = capsys.readouterr().out.splitlines()
    assert f"Note: {PAGE}x\\n::error::y: not managed by s3index" in lines
    assert all(map(str.isprintable, lines))
    assert not any(line.startswith("::") for line in lines)
    assert len(lines) == 4
