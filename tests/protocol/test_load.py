"""Sixteen processes publish at once over HTTP: nothing is lost, and retries are bounded."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3index.settings import LIST
from tests.clients.consumers import broken_links
from tests.commands import repository, start
from tests.distributions import sdist, wheel
from tests.world import Library, at, objects, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

CROWD = 16
FOLDER = "packages/devtools/acme-common/"


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Run the server in a process of its own, like the publishers."""
    script = str(Path(__file__).parents[1] / "s3server.py")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


def publish_at_once(
    libraries: Sequence[Library], folder: Path, *, differ: bool = False
) -> list[dict[str, Any]]:
    """Publish each library from its own process; return the processes' reports.

    With `differ`, each publishes other bytes.
    """
    roots = []
    for number, library in enumerate(libraries):
        root = repository(library, folder / str(number))
        (root / "dist").mkdir()
        for build in (wheel, sdist):
            body = f"x = {number}" if differ else ""
            build(root / "dist", library.name, library.version, body=body)
        roots.append(root)
    process = start(folder, *roots, runner=str(Path(__file__).with_name("crowd.py")))
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def check_retries(said: list[dict[str, Any]]) -> None:
    """Check that a swap is lost only to a publisher that won it and is done with the object."""
    assert len(said) == CROWD
    for each in said:
        assert max(Counter(each["lost"]).values(), default=0) < CROWD
    lost = Counter(key for each in said for key in each["lost"])
    assert max(lost.values(), default=0) <= CROWD * (CROWD - 1) // 2
    # After a lost swap, the object is read and tried again; rarely, another project's page is read.
    assert sum(each["requests"] for each in said) <= CROWD * 32 + 3 * lost.total()


def check_index(s3: "S3Client", library: Library, versions: dict[str, list[str]]) -> None:
    """Check that each project page, and everything derived from it, has all versions."""
    stored = objects(s3, library.index)
    for project, expected in versions.items():
        page = json.loads(stored[library.index.project_page(project)])
        assert page["versions"] == expected
        assert len(page["files"]) == 2 * len(expected)
        for key in (
            library.index.site(f"simple/{project}/"),
            library.index.organization_page(project),
        ):
            html = stored[key].decode()
            for version in expected:
                assert f"{project.replace('-', '_')}-{version}.tar.gz" in html
    team = json.loads(stored[library.index.team_list])
    latest = {said["name"]: said["_latest"]["version"] for said in team["projects"]}
    assert latest == {project: expected[-1] for project, expected in versions.items()}
    assert [said["name"] for said in json.loads(stored[LIST])["projects"]] == sorted(versions)
    for key in (library.index.constraints, library.index.organization_constraints):
        lines = stored[key].decode().splitlines()
        pins = {line.split(" @ ")[0]: line for line in lines if " @ " in line}
        assert pins.keys() == versions.keys()
        for project, expected in versions.items():
            assert f"-{expected[-1]}-py3-none-any.whl#sha256=" in pins[project]
    for project in versions:
        html, _, _ = stored[library.index.site("index.html")].decode().partition("<!-- serials")
        assert project in html
    assert broken_links(stored, library.index.url) == []
    report = verified(library)
    assert (report.findings, report.notes) == ([], [])


def test_sixteen_versions_of_a_project(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    versions = [f"0.{number}.0" for number in range(CROWD)]
    said = publish_at_once([at(library, version) for version in versions], tmp_path)
    check_index(s3, library, {"acme-common": versions})
    check_retries(said)


def test_sixteen_projects_of_a_team(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    projects = [f"acme-{chr(ord('a') + number)}" for number in range(CROWD)]
    said = publish_at_once([at(library, "1.0", project) for project in projects], tmp_path)
    check_index(s3, library, {project: ["1.0"] for project in projects})
    check_retries(said)


def test_sixteen_first_releases_of_four_teams(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    libraries = [
        at(library, "1.0", f"acme-{team}-{number}", team)
        for team in ("devtools", "data", "web", "ops")
        for number in range(4)
    ]
    said = publish_at_once(libraries, tmp_path)
    assert [each["outcome"] for each in said] == ["FIRST"] * CROWD
    stored = objects(s3, library.index)
    records = json.loads(stored[LIST])["projects"]
    assert {record["name"]: record["_team"] for record in records} == {
        each.name: each.index.team for each in libraries
    }
    pins = stored[library.index.organization_constraints].decode()
    for each in libraries:
        assert f"\n{each.name} @ " in pins
        owner = json.loads(stored[library.index.organization_page(each.name)])["meta"]["_team"]
        assert owner == each.index.team
        assert verified(each).findings == []


def test_sixteen_builds_of_a_version(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    said = publish_at_once([library] * CROWD, tmp_path, differ=True)
    [winner] = [n for n, each in enumerate(said) if each["outcome"] in ("FIRST", "WRITTEN")]
    claim = json.loads(objects(s3, library.index)[f"{FOLDER}release-0.1.json"])
    for n, each in enumerate(said):
        if n != winner:
            told = f"0.1.0 was claimed by {claim['uploaded-by']} at "
            assert told in each["outcome"] or "with other bytes" in each["outcome"]
    check_index(s3, library, {"acme-common": ["0.1.0"]})


def test_sixteen_teams_that_want_one_name(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    teams = [f"team-{number}" for number in range(CROWD)]
    said = publish_at_once([at(library, "0.1.0", team=team) for team in teams], tmp_path)
    assert sorted(each["outcome"][:5] for each in said) == ["FIRST", *["The n"] * (CROWD - 1)]
    page = json.loads(objects(s3, library.index)["simple/acme-common/"])
    owner = page["meta"]["_team"]
    for each in said:
        assert each["outcome"] == "FIRST" or f"belongs to team {owner}," in each["outcome"]
    check_index(s3, at(library, "0.1.0", team=owner), {"acme-common": ["0.1.0"]})
