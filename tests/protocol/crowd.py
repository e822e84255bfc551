"""Publish from many processes at once: `python crowd.py FOLDER…`, each a repository with dist/.

Each process prints a line of JSON: its outcome, the keys of the swaps that it lost, and its number
of requests. The processes are forked after all imports, and start together.
"""

import json
import multiprocessing
import sys
import threading
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from s3index.claims import new_claim
from s3index.distribution import read_release
from s3index.errors import Refused
from s3index.publish import publish
from s3index.s3 import Bucket
from s3index.settings import Index, load
from s3index.steps import Put, Request


class Counting(Bucket):
    """A bucket that counts its requests and remembers lost swaps."""

    def __init__(self, index: Index) -> None:
        """Start at zero."""
        super().__init__(index)
        self.requests = 0
        self.lost: list[str] = []
        self._counting = threading.Lock()

    def perform(self, request: Request) -> Any:
        """Carry out and count one request."""
        reply = super().perform(request)
        with self._counting:
            self.requests += 1
            if isinstance(request, Put) and reply is None:
                self.lost.append(request.key)
        return reply


def publish_one(root: Path, barrier: Barrier) -> None:
    """Publish one repository once all processes are ready."""
    index, project = load(root)
    files = read_release(sorted((root / "dist").iterdir()), project.name, project.version)
    bucket = Counting(index)
    claim = new_claim(files, datetime.now(UTC), f"publisher {root.name}", None)
    barrier.wait()
    try:
        outcome = bucket.run(publish(files, index, claim)).name
    except Refused as refused:
        outcome = str(refused)
    line = {"requests": bucket.requests, "lost": bucket.lost, "outcome": outcome}
    sys.stdout.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    roots = [Path(argument) for argument in sys.argv[1:]]
    context = multiprocessing.get_context("fork")
    together = context.Barrier(len(roots))
    processes = [context.Process(target=publish_one, args=(root, together)) for root in roots]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
