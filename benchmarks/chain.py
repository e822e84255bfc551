"""Measure the time from a tag to the index: the release's jobs under act, with real installs.

`make bench ONLY=chain` prints the table that is in docs/benchmarks.md, for today's workflows and
for those of 0.2.0, each with a committed lock file and empty caches. Jobs run one after the other,
so that they do not compete for processors; the chain is the longest series of jobs that need each
other. Needs the git history, for 0.2.0.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from cookiecutter.main import cookiecutter

from benchmarks.generated import BEFORE
from benchmarks.report import Rows, markdown
from s3index.settings import Index
from tests.template.baking import ANSWERS, TEMPLATE, config_file, pypi, python, run
from tests.workflows.act import Clone, Runner
from tests.world import REGION, Library, readable

MIRROR = "poetry-plugin-pypi-mirror"


@dataclass(frozen=True)
class Chain:
    """A release's jobs, {name: seconds}, and the seconds until it is in the index."""

    template: str
    jobs: Mapping[str, float]
    seconds: float


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory(prefix="s3index-bench-") as name:
        folder = Path(name)
        before = folder / "before"
        run(["git", "clone", "--quiet", TEMPLATE, before], folder)
        run(["git", "checkout", "--quiet", BEFORE], before)
        found = [
            measure("0.2.0", before, folder / "0.2.0"),
            measure("today", TEMPLATE, folder / "today"),
        ]
    print(markdown(table(found)))


def measure(template: str, source: Path, folder: Path) -> Chain:
    """Release a library generated from a template, under act."""
    folder.mkdir()
    server = subprocess.Popen(
        [sys.executable, TEMPLATE / "tests" / "s3server.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        endpoint = server.stdout.readline().strip()
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
        }
        bucket = "acme-packages"
        readable(boto3.client("s3", region_name=REGION), bucket)
        index = Index("devtools", bucket, REGION, f"{endpoint}/{bucket}", endpoint)
        answers = {**ANSWERS, "starter": "empty", "bucket": bucket}
        baked = cookiecutter(
            str(source),
            no_input=True,
            extra_context=answers,
            output_dir=str(folder),
            config_file=str(config_file(folder)),
        )
        clone = Clone(Library(index, folder), baked=Path(baked))
        run(python("poetry", "lock"), clone.folder, {"POETRY_PYPI_MIRROR_URL": pypi()})
        clone.change("pyproject.toml", "[tool.s3index]", f'[tool.s3index]\nurl = "{index.url}"')
        ref = clone.tag("v0.1.0")
        # GitHub's runners have pipx, and 0.2.0's workflows install Poetry with it. The plugin is
        # for machines that access PyPI through a mirror.
        commands = folder / "machine" / "bin"
        commands.mkdir(parents=True)
        (commands / "pipx").write_text(
            f'#!/bin/sh\nexec {sys.executable} -m pipx "$@" --preinstall {MIRROR}\n'
        )
        (commands / "pipx").chmod(0o755)
        done = Runner(folder / "machine", folder / "cache", pypi(), jobs=1).run(clone, ref)
        if set(done.results.values()) != {"success"}:
            raise RuntimeError(done.log)
        return Chain(template, done.seconds, _until_published(clone.folder, done.seconds))
    finally:
        server.terminate()
        server.wait()


def table(found: list[Chain]) -> Rows:
    """Return a row for each template, as {column: cell}."""
    return [
        {
            "template": each.template,
            "jobs, in seconds": ", ".join(f"{name} {took:.0f}" for name, took in each.jobs.items()),
            "from tag to index": f"{each.seconds:.0f} s",
        }
        for each in found
    ]


def _until_published(repository: Path, seconds: Mapping[str, float]) -> float:
    """Return when the job Publish ends if every job has its own machine."""
    workflows = repository / ".github" / "workflows"
    release = yaml.safe_load((workflows / "release.yml").read_text())["jobs"]
    called = yaml.safe_load((workflows / "ci.yml").read_text())["jobs"]
    return _ends(release, seconds, 0, called)["publish"]


def _ends(
    jobs: Mapping[str, Any], seconds: Mapping[str, float], start: float, called: Mapping[str, Any]
) -> dict[str, float]:
    """Return when each job of a workflow ends; a job must come after those that it needs."""
    ends: dict[str, float] = {}
    for key, job in jobs.items():
        needs = job.get("needs", [])
        waits = [ends[need] for need in ([needs] if isinstance(needs, str) else needs)]
        begins = max(waits, default=start)
        if "uses" in job:
            ends[key] = max(_ends(called, seconds, begins, {}).values())
        else:
            # Jobs of a matrix run in parallel.
            name = job["name"].partition("${{")[0]
            ends[key] = begins + max(seconds[each] for each in seconds if each.startswith(name))
    return ends


if __name__ == "__main__":
    main()
