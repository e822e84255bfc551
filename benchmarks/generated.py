"""Compare what an owner gets today and with 0.2.0: files, lines, locked packages, set-up time.

`make bench ONLY=generated` prints the table that is in docs/benchmarks.md. Poetry's caches are
empty; both repositories have the same answers. Needs the git history, for 0.2.0.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from cookiecutter.main import cookiecutter

from benchmarks.report import Rows, markdown
from tests.template.baking import TEMPLATE, committed, config_file, pypi, python, run

BEFORE = "a1fa689"
"""The commit of version 0.2.0."""
PUBLISHING = 69
"""Packages that its job with the publishing role installed, without a committed lock file."""


@dataclass(frozen=True)
class Repository:
    """A generated repository: files, lines outside LICENSE, packages, seconds to install."""

    template: str
    files: int
    lines: int
    locked: int
    seconds: float
    publishing: int


def main() -> None:
    """Measure and print the table."""
    print(markdown(table(list(measure()))))


def measure() -> Iterator[Repository]:
    """Generate, lock and install with both templates, one after the other."""
    with tempfile.TemporaryDirectory(prefix="s3index-bench-") as name:
        folder = Path(name)
        today, before = folder / "today", folder / "before"
        today.mkdir()
        committed(today)
        run(["git", "clone", "--quiet", TEMPLATE, before], folder)
        run(["git", "checkout", "--quiet", BEFORE], before)
        yield _repository("0.2.0", before, folder, PUBLISHING)
        lock = (TEMPLATE / "action" / "s3index.txt").read_text()
        yield _repository("today", today, folder, _packages(lock))


def table(found: list[Repository]) -> Rows:
    """Return a row for each template, as {column: cell}."""
    return [
        {
            "template": each.template,
            "files": str(each.files),
            "lines": f"{each.lines:,}",
            "locked packages": str(each.locked),
            "`poetry install`": f"{each.seconds:.0f} s",
            "packages beside the publishing role": str(each.publishing),
        }
        for each in found
    ]


def _packages(lock: str) -> int:
    return sum("==" in line and not line.startswith((" ", "#")) for line in lock.splitlines())


def _repository(template: str, source: Path, folder: Path, publishing: int) -> Repository:
    output = folder / f"baked-{template}"
    project = Path(
        cookiecutter(
            str(source),
            no_input=True,
            extra_context={"python_version": "3.11"},
            output_dir=str(output),
            config_file=str(config_file(folder)),
        )
    )
    listed = run(["git", "ls-files"], project).splitlines()
    texts = [(project / path).read_text() for path in listed if path != "LICENSE"]
    environment = {
        "POETRY_PYPI_MIRROR_URL": pypi(),
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_CACHE_DIR": str(folder / f"cache-{template}"),
        "VIRTUAL_ENV": "",
    }
    run(python("poetry", "lock"), project, environment)
    lock = tomllib.loads((project / "poetry.lock").read_text())
    shutil.rmtree(folder / f"cache-{template}")
    started = perf_counter()
    run(python("poetry", "install"), project, environment)
    return Repository(
        template,
        len(listed),
        sum(len(text.splitlines()) for text in texts),
        len({package["name"] for package in lock["package"]}),
        perf_counter() - started,
        publishing,
    )


if __name__ == "__main__":
    main()
