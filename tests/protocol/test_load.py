"""Sixteen processes at once, over HTTP: nothing is lost, and nobody tries without end."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import repository, start
from tests.clients.consumers import broken_links
from tests.distributions import sdist, wheel
from s3index.bucket import Bucket
from s3index.config import Config
from s3index.verify import verify
from tests.world import at, objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CROWD = 16
SITE = "dumb-pypi/devtools/index/"


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Run the server in a process of its own, as the publishers are."""
    script = str(Path(__file__).parents[1] / "s3server.py")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


def publish_at_once(configs: Sequence[Config], folder: Path) -> list[dict[str, Any]]:
    """Publish from a process for each; return what each said of its requests."""
    roots = []
    for number, config in enumerate(configs):
        root = repository(config, folder / str(number))
        (root / "dist").mkdir()
        for build in (wheel, sdist):
            build(root / "dist", config.project, str(config.version))
        roots.append(root)
    process = start(folder, *roots, runner=str(Path(__file__).with_name("crowd.py")))
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def check_retries(said: list[dict[str, Any]]) -> None:
    """Check that a swap is only ever lost to somebody who has won it, and is done with it."""
    assert len(said) == CROWD
    for each in said:
        assert max(Counter(each["lost"]).values(), default=0) < CROWD
    lost = Counter(key for each in said for key in each["lost"])
    assert max(lost.values(), default=0) <= CROWD * (CROWD - 1) // 2
    # What is lost is read and tried again, and now and then the page of another project read.
    assert sum(each["requests"] for each in said) <= CROWD * 24 + 3 * lost.total()


def check_index(s3: "S3Client", config: Config, versions: dict[str, list[str]]) -> None:
    """Check that each project page, and everything made from them, has all of the versions."""
    stored = objects(s3, config)
    for project, expected in versions.items():
        page = json.loads(stored[config.keys.project_page(project)])
        assert page["versions"] == expected
        assert len(page["files"]) == 2 * len(expected)
        for key in (f"simple/{project}/", f"simple/{project}/index.html", f"pypi/{project}/json"):
            html = stored[SITE + key].decode()
            for version in expected:
                assert f"{project.replace('-', '_')}-{version}.tar.gz" in html
    team = json.loads(stored[config.keys.team_page])
    latest = {said["name"]: said["_latest"]["version"] for said in team["projects"]}
    assert latest == {project: expected[-1] for project, expected in versions.items()}
    constraints = stored[config.keys.constraints].decode().splitlines()
    pins = {line.split(" @ ")[0]: line for line in constraints if " @ " in line}
    assert pins.keys() == versions.keys()
    for project, expected in versions.items():
        assert f"-{expected[-1]}-py3-none-any.whl#sha256=" in pins[project]
        for key in ("simple/", "simple/index.html", "index.html", "changelog/page1.html"):
            html, _, _ = stored[SITE + key].decode().partition("<!-- serials")
            assert project in html
    assert broken_links(stored, config.url) == []
    assert Bucket(config).run(verify(config)) == []


def test_sixteen_versions_of_a_project(s3: "S3Client", config: Config, tmp_path: Path) -> None:
    versions = [f"0.{number}.0" for number in range(CROWD)]
    said = publish_at_once([at(config, version) for version in versions], tmp_path)
    check_index(s3, config, {"acme-common": versions})
    check_retries(said)


def test_sixteen_projects_of_a_team(s3: "S3Client", config: Config, tmp_path: Path) -> None:
    projects = [f"acme-{chr(ord('a') + number)}" for number in range(CROWD)]
    said = publish_at_once([at(config, "1.0", project) for project in projects], tmp_path)
    check_index(s3, config, {project: ["1.0"] for project in projects})
    check_retries(said)
