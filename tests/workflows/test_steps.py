"""Single scripts of the generated workflows work, run by bash as GitHub runs them.

test_rehearsal covers what needs earlier steps or GitHub's expressions.
"""

import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.baking import TEMPLATE

WORKFLOWS = TEMPLATE / "{{cookiecutter.project_slug}}" / ".github" / "workflows"


def steps(name: str, job: str) -> list[dict[str, Any]]:
    """Return the steps of a job."""
    workflow = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())
    found: list[dict[str, Any]] = workflow["jobs"][job]["steps"]
    return found


def script(name: str, job: str, contains: str) -> str:
    """Return the one script of a job that contains a text."""
    [found] = [step["run"] for step in steps(name, job) if contains in step.get("run", "")]
    return str(found)


def run(text: str, folder: Path, variables: Mapping[str, str] = {}) -> tuple[int, str]:
    """Run a script in a folder; return its exit code and output."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("success success success", 0),
        ("failure success success", 1),
        ("success cancelled success", 1),
        ("success success skipped", 1),
    ],
)
def test_required_passes_if_every_job_did(results: str, code: int, tmp_path: Path) -> None:
    text = script("ci", "required", "lint, test, build")
    assert run(text, tmp_path, {"RESULTS": results})[0] == code


@pytest.mark.parametrize(
    ("ignored", "code", "said"), [("dist/\n", 0, ""), ("", 1, "?? dist/\n::error::The build ")]
)
def test_a_build_that_changes_the_tree_is_refused(
    ignored: str, code: int, said: str, tmp_path: Path
) -> None:
    who = "-c user.name=DeveloperTools -c user.email=devtools@example.com"
    (tmp_path / ".gitignore").write_text(ignored)
    start = f"git init -q; git add .; git {who} commit -qm Start; mkdir dist; touch dist/a.whl"
    assert run(start, tmp_path) == (0, "")
    found, printed = run(script("ci", "build", "git status"), tmp_path)
    assert (found, printed[: len(said)]) == (code, said)
    assert bool(printed) == bool(said)


def test_the_files_are_those_that_were_built(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    for name in ("a.whl", "b.tar.gz"):
        (tmp_path / "dist" / name).write_text(name)
    output = tmp_path / "output"
    built = script("ci", "build", "digests=")
    assert run(built, tmp_path, {"GITHUB_OUTPUT": str(output)}) == (0, "")
    digests = output.read_text().removeprefix("digests=").strip()
    hashed = {name: sha256(name.encode()).hexdigest() for name in ("a.whl", "b.tar.gz")}
    assert digests == " ".join(f"{digest}  dist/{name}" for name, digest in hashed.items())

    check = script("release", "publish", "$BUILT")
    assert run(check, tmp_path, {"BUILT": digests}) == (0, "")
    (tmp_path / "dist" / "c.whl").touch()
    code, said = run(check, tmp_path, {"BUILT": digests})
    assert code == 1
    assert f"::error::These files differ from those of the job Build: {digests}" in said


def test_without_a_role_nothing_is_done(tmp_path: Path) -> None:
    first, *_ = steps("release", "publish")
    assert first["if"] == "vars.S3INDEX_ROLE == ''"
    code, said = run(first["run"], tmp_path)
    assert code == 1
    assert said.startswith("::error::The environment release has no variable S3INDEX_ROLE. Run ")


def test_a_tag_is_checked_against_what_was_built() -> None:
    build = steps("ci", "build")
    runs = [step.get("run", "") for step in build]
    check = runs.index('s3index check-tag "$GITHUB_REF" dist/*')
    assert build[check]["if"] == "inputs.release"
    assert runs.index("poetry build") < check < runs.index("s3index publish --dry-run dist/*")
    # check-tag needs origin/main, and the tag's own commit checked out.
    assert build[0]["with"]["fetch-depth"] == 0
