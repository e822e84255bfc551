"""An S3 server in a process of its own, whose buckets are filled without requests.

`python -m benchmarks.server` prints its port. Each line on stdin (a bucket, its filler and the
sizes of a team) resets that bucket to its state before the release; the answer is a line too. The
process ends when its stdin does.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from benchmarks.children import Child
from benchmarks.team import (
    REGION,
    Objects,
    Team,
    s3index_objects,
    s3pypi_objects,
    script_objects,
)

FILLERS: dict[str, Callable[[Team], Objects]] = {
    "s3index": s3index_objects,
    "s3pypi": s3pypi_objects,
    "script": script_objects,
}


class Server(Child):
    """The server, as seen from the benchmark's main process."""

    def __init__(self) -> None:
        """Start the process, which listens at `port`."""
        super().__init__("benchmarks.server")
        self.port = int(self.listen())

    def fill(self, bucket: str, filler: str, team: Team) -> None:
        """Reset a bucket to the objects that `filler` returns for `team`, and no others."""
        self.ask(f"{bucket} {filler} {team.files} {team.others} {team.own}")


class Bucket:
    """A bucket that can be reset to its initial objects."""

    def __init__(self, name: str, objects: Objects) -> None:
        """Create and fill the bucket."""
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._backend.create_bucket(name, REGION)
        self._name = name
        self._objects = objects
        self._stored: dict[str, Any] = {}
        self.restore()

    def restore(self) -> None:
        """Put missing or replaced objects, delete new ones."""
        keys = self._backend.get_bucket(self._name).keys
        for key in [key for key in keys if key not in self._objects]:
            self._backend.delete_object(self._name, key)
        for key, body in self._objects.items():
            if keys.get(key) is not self._stored.get(key, self):
                self._stored[key] = self._backend.put_object(self._name, key, body)


def main() -> None:
    """Serve until stdin ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    filled: Team | None = None
    buckets: dict[str, Bucket] = {}
    for line in sys.stdin:
        name, filler, *sizes = line.split()
        team = Team(*map(int, sizes))
        if team != filled:
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
            filled, buckets = team, {}
        if name in buckets:
            buckets[name].restore()
        else:
            buckets[name] = Bucket(name, FILLERS[filler](team))
        print("filled", flush=True)
    server.stop()


if __name__ == "__main__":
    main()
