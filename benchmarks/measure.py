"""Run a command as a process of its own; measure it, and what it asks of the proxy."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from time import perf_counter

from benchmarks.proxy import Exchange, Proxy

TIMEOUT = 600
"""Seconds after which a run is ended."""


@dataclass(frozen=True)
class Run:
    """What one run took: seconds, its exchanges with the server, and its peak memory in bytes."""

    seconds: float
    exchanges: tuple[Exchange, ...]
    memory: int
    processor: float

    @property
    def requests(self) -> int:
        """Return the number of requests."""
        return len(self.exchanges)

    @property
    def sent(self) -> int:
        """Return the bytes that went to the server, header fields included."""
        return sum(exchange.sent for exchange in self.exchanges)

    @property
    def received(self) -> int:
        """Return the bytes that came from the server, header fields included."""
        return sum(exchange.received for exchange in self.exchanges)

    @property
    def chain(self) -> int:
        """Return the length of the longest chain of requests."""
        return longest_chain(self.exchanges)


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str], proxy: Proxy) -> Run:
    """Run a command to its end; raises RuntimeError with its output if it fails.

    Memory is that of the largest process, the command's own children included.
    """
    proxy.take()
    with tempfile.TemporaryFile() as output:
        before = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timer = threading.Timer(TIMEOUT, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - before
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Run(
        seconds, tuple(proxy.take()), usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime
    )


def longest_chain(exchanges: Sequence[Exchange]) -> int:
    """Return how many requests follow each other, each starting after the one before it ended."""
    longest = 0
    under_way: list[tuple[float, int]] = []
    for exchange in sorted(exchanges, key=lambda exchange: exchange.start):
        while under_way and under_way[0][0] <= exchange.start:
            longest = max(longest, heappop(under_way)[1])
        heappush(under_way, (exchange.end, longest + 1))
    return max((length for _, length in under_way), default=longest)
