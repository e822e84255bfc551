"""The measurements, and whether they meet the targets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import S3INDEX, S3PYPI, THE_FLOOR, THE_SCRIPT, WITH_ROOT
from benchmarks.measure import Run
from benchmarks.team import Team


@dataclass(frozen=True)
class Case:
    """One contender releasing for one team, with a delay in milliseconds."""

    team: Team
    delay: int
    contender: str


@dataclass(frozen=True)
class Results:
    """All runs of each case; the chains, mostly from separate runs; and the equal teams' runs."""

    runs: Mapping[Case, Sequence[Run]]
    chains: Mapping[tuple[Team, str], int]
    equal: Mapping[Team, Run]

    def seconds(self, case: Case) -> float:
        """Return a case's median wall time."""
        return median(run.seconds for run in self.runs[case])


@dataclass(frozen=True)
class Target:
    """A target, the measurement, and whether it meets the target.

    `met` is None for figures that are only there for comparison.
    """

    wanted: str
    measured: str
    met: bool | None


def main_table(results: Results) -> list[dict[str, str]]:
    """Return a row for each case, as {column: cell}."""
    return [
        {
            "files": f"{case.team.files:,}",
            "delay": f"{case.delay} ms",
            "publisher": case.contender,
            "seconds": f"{results.seconds(case):.2f}",
            "least, most": f"{min(run.seconds for run in runs):.2f}, "
            f"{max(run.seconds for run in runs):.2f}",
            "runs": str(len(runs)),
            "CPU seconds": f"{median(run.processor for run in runs):.2f}",
            "requests": f"{runs[0].requests:,}",
            "chain": f"{results.chains[case.team, case.contender]:,}",
            "sent": size(runs[0].sent),
            "received": size(runs[0].received),
            "memory": size(max(run.memory for run in runs)),
        }
        for case, runs in results.runs.items()
    ]


def equal_table(results: Results) -> list[dict[str, str]]:
    """Return a release's cost in teams that differ only in their other projects' files."""
    return [
        {
            "files in each other project": str(list(team.projects().values())[-1]),
            "requests": str(run.requests),
            "bytes sent": f"{run.sent:,}",
            "bytes received": f"{run.received:,}",
        }
        for team, run in results.equal.items()
    ]


def targets(results: Results) -> Iterator[Target]:
    """Yield the targets of the issue that requested this publisher, in its order."""
    chain = max(length for (_, name), length in results.chains.items() if name == S3INDEX)
    yield Target("a chain of at most 5 requests", str(chain), chain <= 5)
    costs = [(run.requests, run.sent, run.received) for run in results.equal.values()]
    apart = max(max(pair) / min(pair) - 1 for pair in zip(*costs, strict=True))
    wanted = "requests and bytes within 5 %, with 10 or 500 files in each other project"
    yield Target(wanted, f"{apart:.1%} apart", apart <= 0.05)
    largest = max((case.team for case in results.runs), key=lambda team: team.files)
    for delay, other, most in ((25, S3PYPI, 0.6), (25, WITH_ROOT, 0.6)):
        yield _ratios(results, delay, other, most)
    floor = ", ".join(f"{ratio:.2f}" for ratio in _of(results, THE_FLOOR, 25, S3PYPI))
    yield Target(f"(at 25 ms, {THE_FLOOR}: of the time of {S3PYPI})", floor, None)
    yield _ratios(results, 25, THE_SCRIPT, 0.1, largest)
    for other in (S3PYPI, WITH_ROOT):
        yield _ratios(results, 0, other, 1.0)


def size(count: int) -> str:
    """Return a number of bytes, formatted for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _ratios(
    results: Results, delay: int, other: str, most: float, only: Team | None = None
) -> Target:
    ratios = _of(results, S3INDEX, delay, other, only)
    where = f", {only.files:,} files" if only else ""
    wanted = f"at {delay} ms{where}: at most {most:g} of the time of {other}"
    return Target(wanted, ", ".join(f"{ratio:.2f}" for ratio in ratios), max(ratios) <= most)


def _of(
    results: Results, one: str, delay: int, other: str, only: Team | None = None
) -> list[float]:
    """Return the ratio of one contender's time to another's, for each team."""
    return [
        results.seconds(case) / results.seconds(Case(case.team, delay, other))
        for case in results.runs
        if (case.delay, case.contender) == (delay, one) and only in (None, case.team)
    ]
