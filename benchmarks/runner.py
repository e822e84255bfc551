"""Run commands and report what each took: a small process that only does this.

Linux counts the memory of the process that starts a command as the command's own until it
runs, so that a large parent would hide what small commands need. Lines of JSON on stdin
({"command", "cwd", "environment"}) are answered by lines of JSON on stdout.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from time import perf_counter

TIMEOUT = 600
"""Seconds after which a command is killed."""


def run(command: list[str], cwd: str, environment: dict[str, str]) -> dict[str, object]:
    """Run a command to its end; return seconds, CPU seconds, bytes of memory, status, output.

    Memory is that of the largest process, CPU seconds are the total of all processes.
    """
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
        output.seek(0)
        return {
            "seconds": seconds,
            "processor": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "status": process.returncode,
            "output": output.read().decode(errors="replace"),
        }


def main() -> None:
    """Run the commands on stdin until it ends."""
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
