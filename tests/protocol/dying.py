"""Run s3index and kill it at one of its PUTs: `python dying.py before|after NUMBER ARGUMENT…`.

It sends itself SIGKILL, so nothing can clean up, and the requests of other threads are cut off
wherever they are.
"""

import itertools
import os
import signal
import sys
from typing import Any

from s3index.__main__ import app
from s3index.s3 import Bucket
from s3index.steps import Put, Request

_numbers = itertools.count(1)
_perform = Bucket.perform


def _perform_until_death(bucket: Bucket, request: Request) -> Any:
    dies = isinstance(request, Put) and next(_numbers) == int(sys.argv[2])
    if dies and sys.argv[1] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = _perform(bucket, request)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


if __name__ == "__main__":
    Bucket.perform = _perform_until_death  # type: ignore[method-assign,assignment]
    app(sys.argv[3:])
