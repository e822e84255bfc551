"""What one run of a command takes, and what it asks of the proxy."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from benchmarks.children import Child
from benchmarks.proxy import Exchange, Proxy


@dataclass(frozen=True)
class Run:
    """One run: wall and CPU time in seconds, peak memory, and the exchanges with the server.

    `chain` is the longest series of requests of which each started after the one before it
    ended; bytes include header fields.
    """

    seconds: float
    processor: float
    memory: int
    requests: int
    chain: int
    sent: int
    received: int


class Runner(Child):
    """The process that runs commands, as the benchmark's own process sees it."""

    def __init__(self) -> None:
        """Start it."""
        super().__init__("benchmarks.runner")

    def run(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], proxy: Proxy
    ) -> Run:
        """Run a command to its end; raises RuntimeError with its output if it fails."""
        proxy.take()
        asked = {"command": command, "cwd": str(cwd), "environment": environment}
        said = json.loads(self.ask(json.dumps(asked)))
        if said["status"]:
            raise RuntimeError(f"{command} ended with {said['status']}:\n{said['output'][:2000]}")
        exchanges = proxy.take()
        return Run(
            seconds=said["seconds"],
            processor=said["processor"],
            memory=said["memory"],
            requests=len(exchanges),
            chain=longest_chain(exchanges),
            sent=sum(exchange.sent for exchange in exchanges),
            received=sum(exchange.received for exchange in exchanges),
        )


def longest_chain(exchanges: Iterable[Exchange]) -> int:
    """Return how many requests follow each other, each starting after the one before it ended."""
    longest = 0
    under_way: list[tuple[float, int]] = []
    for exchange in sorted(exchanges, key=lambda exchange: exchange.start):
        while under_way and under_way[0][0] <= exchange.start:
            longest = max(longest, heappop(under_way)[1])
        heappush(under_way, (exchange.end, longest + 1))
    return max((length for _, length in under_way), default=0)
