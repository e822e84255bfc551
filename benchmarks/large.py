"""Measure large indexes: a release after up to 2,000 others, verify and repair of 500 projects.

`make bench ONLY=large` prints the table that is in docs/benchmarks.md.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import S3INDEX, Library
from benchmarks.measure import Run, Runner
from benchmarks.proxy import Proxy
from benchmarks.report import Rows, markdown
from benchmarks.results import size
from benchmarks.server import Server
from benchmarks.team import OWN_FILES, Team

RELEASES = (10, 200, 2_000)
README = 200_000
"""Size of the measured release's README, in bytes."""
PART = """## Retries

`retry` calls a function again, at most `times` times, and waits longer before each attempt. See
[the manual](https://docs.example.com/retry) for what it takes for a failure.

```python
@retry(times=3)
def fetch(address: str) -> bytes:
    return session.get(address).content
```

| option | meaning |
| --- | --- |
| `times` | how often it tries |

"""
PROJECTS = 500
FILES = 4
"""Files of each of those projects: two releases of a wheel and an sdist."""


@dataclass(frozen=True)
class Measured:
    """One command: its case, its run, and the figures reported for version 0.2.0."""

    what: str
    run: Run
    before: str


BEFORE = ("", "", "22 requests, 6.6 MB sent", "", "87 s")
"""Figures of 0.2.0, as reported for a project and a team of these sizes, on another day."""


def main() -> None:
    """Measure and print the table."""
    print(markdown(table(measure())))


def measure() -> list[Measured]:
    """Release after few and after many releases; verify and repair a team of 500 projects."""
    about = "Description-Content-Type: text/markdown\n\n" + PART * (README // len(PART))
    alone = {count: Team(2 * count, 0, own=2 * count) for count in RELEASES}
    many = Team(OWN_FILES + FILES * (PROJECTS - 1), PROJECTS - 1)
    with tempfile.TemporaryDirectory(prefix="s3index-bench-") as folder:
        library = Library(Path(folder), about)
        [publish] = [each for each in library.contenders() if each.name == S3INDEX]
        runner, server = Runner(), Server()
        proxy = Proxy(server.port)
        environment = library.environment(proxy.address)
        command = list(publish.command[:1])
        cases = [
            *(
                (f"release after {count:,} releases", team, publish.command)
                for count, team in alone.items()
            ),
            (f"verify {PROJECTS} projects", many, [*command, "verify"]),
            (f"repair {PROJECTS} projects", many, [*command, "repair"]),
        ]
        try:
            measured = []
            for (what, team, asked), before in zip(cases, BEFORE, strict=True):
                server.fill(publish.bucket, publish.filler, team)
                run = runner.run(asked, library.root, environment, proxy)
                measured.append(Measured(what, run, before))
            return measured
        finally:
            runner.stop()
            proxy.stop()
            server.stop()


def table(measured: Sequence[Measured]) -> Rows:
    """Return a row for each command, as {column: cell}."""
    return [
        {
            "what": each.what,
            "seconds": f"{each.run.seconds:.1f}",
            "CPU seconds": f"{each.run.processor:.1f}",
            "requests": f"{each.run.requests:,}",
            "sent": size(each.run.sent),
            "received": size(each.run.received),
            "memory": size(each.run.memory),
            "0.2.0": each.before,
        }
        for each in measured
    ]


if __name__ == "__main__":
    main()
