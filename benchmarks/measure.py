"""Measure one run of a command, and its requests to the proxy."""

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

    `chain` is the length of the longest series of requests in which each started after the
    previous one ended; bytes include header fields.
    """

    seconds: float
    processor: float
    memory: int
    requests: int
    chain: int
    sent: int
    received: int


class Runner(Child):
    """The process that runs commands, as seen from the benchmark's main process."""

    def __init__(self) -> None:
        """Start the process."""
        super().__init__("benchmarks.runner")

    def run(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], proxy: Proxy
    ) -> Run:
        """Run a command to its end; raise RuntimeError with its output if it fails."""
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
    """Return the length of the longest series in which each starts after the previous one ends."""
    longest = 0
    under_way: list[tuple[float, int]] = []
    for exchange in sorted(exchanges, key=lambda exchange: exchange.start):
        while under_way and under_way[0][0] <= exchange.start:
            longest = max(longest, heappop(under_way)[1])
        heappush(under_way, (exchange.end, longest + 1))
    return max((length for _, length in under_way), default=0)
