"""S3's object semantics in memory.

A proof by interleavings runs thousands of schedules, and each of them takes a hundred requests.
Over HTTP that is hours; here it is seconds. What S3 promises is little enough to write down:
every request is atomic and sees all earlier ones, `If-None-Match: *` creates, `If-Match` swaps
by an ETag that is the content's MD5 (so the same content has the same ETag again), keys are
opaque and listed in order. `test_memory` holds this against the real client and a real server.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO, cast

from s3index.config import Refused
from s3index.release import sdist_metadata, wheel_metadata
from s3index.steps import CoreMetadata, Facts, Get, List, Put, Request, Stat, Stored, Written
from s3index.streams import Ranges

START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
"""All that a schedule writes falls into one second, as upload times are shown: what can be
rendered does not depend on the order of unrelated requests, and rendering can be cached."""


@dataclass(frozen=True)
class Overwrite(Put):
    """A PUT without a condition. The publisher has no such request; broken ones here have."""


class MemoryBucket:
    """A bucket that carries out the requests of `s3index.steps`, one at a time."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        """Hold `objects` from the start, or nothing."""
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._now = START
        for key, body in (objects or {}).items():
            self.overwrite(key, body)

    @property
    def objects(self) -> dict[str, bytes]:
        """Return everything that is stored."""
        return {key: body for key, (body, _) in self._objects.items()}

    def overwrite(self, key: str, body: bytes) -> Written:
        """Write without a condition, as a person with another S3 client can."""
        self._now += TICK
        self._objects[key] = (body, self._now)
        return Written(_etag(body), self._now)

    def delete(self, key: str) -> None:
        """Delete an object, as a person with another S3 client can."""
        del self._objects[key]

    def perform(self, request: Request) -> Any:
        """Carry out one request and return the reply that `steps` describes for it."""
        match request:
            case Get(key):
                return Stored(self._body(key), _etag(self._body(key))) if self._has(key) else None
            case Overwrite():
                return self.overwrite(request.key, _read(request))
            case Put():
                return self._put(request)
            case Stat(key):
                return self._facts(key) if self._has(key) else None
            case CoreMetadata(key, size):
                return self._core_metadata(key, size) if self._has(key) else None
            case List(prefix):
                return sorted(key for key in self._objects if key.startswith(prefix))

    def _put(self, put: Put) -> Written | None:
        body = _read(put)
        there = _etag(self._body(put.key)) if self._has(put.key) else None
        if there != put.etag:
            return None
        if hashlib.sha256(body).hexdigest() != put.sha256:
            raise Refused("BadDigest")
        return self.overwrite(put.key, body)

    def _facts(self, key: str) -> Facts:
        body, written = self._objects[key]
        return Facts(len(body), hashlib.sha256(body).hexdigest(), written)

    def _core_metadata(self, key: str, size: int) -> bytes | None:
        body = self._body(key)
        try:
            if key.endswith(".whl"):
                ranges = Ranges(lambda first, last: body[first : last + 1], size)
                return wheel_metadata(cast(BinaryIO, BufferedReader(ranges)), key)
            return sdist_metadata(BytesIO(body), key)
        except Refused:
            return None

    def _has(self, key: str) -> bool:
        return key in self._objects

    def _body(self, key: str) -> bytes:
        return self._objects[key][0]


def _read(put: Put) -> bytes:
    return put.body if isinstance(put.body, bytes) else put.body.read_bytes()


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
