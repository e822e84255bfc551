"""Measure, print, and write docs/benchmarks.md: `make bench`.

Contenders take turns, so that other load on the machine affects all of them alike; the first one
changes from round to round.
"""

import tempfile
from itertools import product
from pathlib import Path
from time import monotonic

from rich.console import Console

from benchmarks import choosing, report
from benchmarks.contenders import S3INDEX, THE_SCRIPT, Contender, Library
from benchmarks.measure import Run, Runner
from benchmarks.proxy import Proxy
from benchmarks.results import Case, Results
from benchmarks.server import Server
from benchmarks.team import OWN_FILES, Team

OTHERS = 20
TEAMS = [Team(files, 0 if files == OWN_FILES else OTHERS) for files in (10, 1_000, 10_000)]
EQUAL = [Team(OWN_FILES + OTHERS * files, OTHERS) for files in (10, 500)]
DELAYS = [0, 25]
ROUNDS = 7
SCRIPT_ROUNDS = {10: 3, 1_000: 3, 10_000: 1}
SLOWLY = 250
"""Delay in milliseconds for measuring chains: whatever can overlap then does."""
BUDGET = 200
"""Seconds for each team, after which no further round starts."""


class Bench:
    """A server, a proxy in front of it, a runner, and a repository with a release to publish."""

    def __init__(self, root: Path) -> None:
        """Start the first three; `root` is an empty folder for the repository."""
        self._library = Library(root)
        self._runner = Runner()
        self._server = Server()
        self._proxy = Proxy(self._server.port)
        self.contenders = {each.name: each for each in self._library.contenders()}

    def stop(self) -> None:
        """Stop the server, the proxy and the runner."""
        self._runner.stop()
        self._proxy.stop()
        self._server.stop()

    def release(self, contender: Contender, team: Team, delay: int) -> Run:
        """Reset the contender's bucket to the state before the release, then measure that."""
        self._server.fill(contender.bucket, contender.filler, team)
        self._library.list_packages(team)
        self._proxy.delay = delay / 1000
        environment = self._library.environment(self._proxy.address)
        return self._runner.run(contender.command, self._library.root, environment, self._proxy)


def main() -> None:
    """Measure everything, print it and write the page."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="s3index-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            results = measure(bench, console)
        finally:
            bench.stop()
    console.print("what clients fetch until they have chosen")
    choices = choosing.table(choosing.measure())
    report.show(results, choices)
    report.write(results, choices)


def measure(bench: Bench, console: Console) -> Results:
    """Run every case; each contender's first run only warms the file system's caches."""
    for contender in bench.contenders.values():
        bench.release(contender, TEAMS[0], 0)
    cases = product(TEAMS, DELAYS, bench.contenders)
    runs: dict[Case, list[Run]] = {Case(*case): [] for case in cases}
    chains: dict[tuple[Team, str], int] = {}
    for team in TEAMS:
        start = monotonic()
        for number in range(ROUNDS):
            if number and monotonic() - start > BUDGET:
                break
            console.print(f"{team.files:,} files, round {number + 1} of {ROUNDS}")
            measure_round(bench, team, number, runs)
        chains |= measure_chains(bench, team, runs)
    console.print("10 and 500 files in each other project")
    ours = bench.contenders[S3INDEX]
    return Results(runs, chains, {team: bench.release(ours, team, 0) for team in EQUAL})


def measure_round(bench: Bench, team: Team, number: int, runs: dict[Case, list[Run]]) -> None:
    """Run every contender once for each delay, the script only as often as time allows."""
    names = list(bench.contenders)
    for delay in DELAYS:
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name != THE_SCRIPT or number < SCRIPT_ROUNDS[team.files]:
                measured = bench.release(bench.contenders[name], team, delay)
                runs[Case(team, delay, name)].append(measured)


def measure_chains(
    bench: Bench, team: Team, runs: dict[Case, list[Run]]
) -> dict[tuple[Team, str], int]:
    """Return each contender's longest chain; the script's comes from an existing run."""
    chains = {}
    for name, contender in bench.contenders.items():
        if name == THE_SCRIPT:
            chains[team, name] = runs[Case(team, max(DELAYS), name)][0].chain
        else:
            chains[team, name] = bench.release(contender, team, SLOWLY).chain
    return chains


if __name__ == "__main__":
    main()
