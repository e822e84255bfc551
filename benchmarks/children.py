"""The benchmark's child processes, which answer each line with a line."""

import subprocess
import sys
from typing import IO, cast


class Child:
    """A module of this package, run as a child process until `stop`."""

    def __init__(self, module: str) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> str:
        """Send a line and return the answer; raise RuntimeError if the process has ended."""
        stdin = cast(IO[str], self._process.stdin)
        stdin.write(f"{line}\n")
        stdin.flush()
        return self.listen()

    def listen(self) -> str:
        """Return the next line of output; raise RuntimeError if the process has ended."""
        line = cast(IO[str], self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended.")
        return line

    def stop(self) -> None:
        """End the process by closing its stdin."""
        self._process.communicate()
