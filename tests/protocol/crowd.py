"""Publish from many processes at once: `python crowd.py FOLDER…`, each a repository with dist/.

Prints a line of JSON for each process: the keys of the swaps that it lost, and how many requests
it made. The processes are forked when everything is imported, and start together.
"""

import json
import multiprocessing
import sys
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from s3index.bucket import Bucket
from s3index.config import Config, load
from s3index.publish import publish
from s3index.release import read_release
from s3index.steps import Put, Request


class Counting(Bucket):
    """A bucket that counts its requests."""

    def __init__(self, config: Config) -> None:
        """Start at nothing."""
        super().__init__(config)
        self.requests = 0
        self.lost: list[str] = []
        self._counting = threading.Lock()

    def perform(self, request: Request) -> Any:
        """Carry out one request."""
        reply = super().perform(request)
        with self._counting:
            self.requests += 1
            if isinstance(request, Put) and reply is None:
                self.lost.append(request.key)
        return reply


def publish_one(root: Path, barrier: Barrier) -> None:
    """Publish one repository, when all are ready."""
    config = load(root)
    files = read_release(sorted((root / "dist").iterdir()), config.project, config.version)
    bucket = Counting(config)
    barrier.wait()
    bucket.run(publish(files, config, "tests"))
    line = json.dumps({"requests": bucket.requests, "lost": bucket.lost})
    sys.stdout.write(f"{line}\n")


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
