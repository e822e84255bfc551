"""S3's object semantics in memory.

This stands in for S3 because the interleaving tests run thousands of schedules of a hundred
requests each: hours over HTTP, seconds in memory. S3's guarantees are few: every request is atomic
and sees all earlier ones; `If-None-Match: *` only creates; `If-Match` swaps by an ETag that is the
content's MD5, so it recurs with the content; keys are opaque and listed in order. `test_memory`
compares this with the real client and a real server.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from s3index.distribution import wheel_metadata
from s3index.errors import Refused
from s3index.steps import (
    CoreMetadata,
    Facts,
    Get,
    List,
    Listed,
    Put,
    Request,
    Stat,
    Stored,
    Written,
)


@dataclass(frozen=True)
class Overwrite(Put):
    """A PUT without a condition, which only the tests' broken publishers send."""


class MemoryBucket:
    """A bucket that carries out the requests of `s3index.steps`, one at a time."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        """Start with `objects`, or empty."""
        self._objects = dict(objects or {})

    @property
    def objects(self) -> dict[str, bytes]:
        """Return everything that is stored."""
        return dict(self._objects)

    def overwrite(self, key: str, body: bytes) -> Written:
        """Write without a condition, as a person with another S3 client can."""
        self._objects[key] = body
        return Written(_etag(body))

    def delete(self, key: str) -> None:
        """Delete an object, as a person with another S3 client can."""
        del self._objects[key]

    def perform(self, request: Request) -> Any:
        """Carry out one request and return the reply that `steps` describes for it."""
        match request:
            case Overwrite():
                return self.overwrite(request.key, _read(request))
            case Put():
                return self._put(request)
            case List(prefix):
                return {
                    key: Listed(len(body), _etag(body))
                    for key, body in sorted(self._objects.items())
                    if key.startswith(prefix)
                }
        body = self._objects.get(request.key)
        if body is None:
            return None
        match request:
            case Get():
                return Stored(body, _etag(body))
            case Stat():
                return Facts(len(body), hashlib.sha256(body).hexdigest())
            case CoreMetadata(key):
                try:
                    return wheel_metadata(BytesIO(body), key.rpartition("/")[2])
                except Refused:
                    return None

    def _put(self, put: Put) -> Written | None:
        body, there = _read(put), self._objects.get(put.key)
        if (None if there is None else _etag(there)) != put.etag:
            return None
        if hashlib.sha256(body).hexdigest() != put.sha256:
            raise Refused("BadDigest")
        return self.overwrite(put.key, body)


def _read(put: Put) -> bytes:
    return put.body if isinstance(put.body, bytes) else put.body.read_bytes()


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
