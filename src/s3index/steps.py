"""Requests to a bucket, as data, and the protocols made of them.

A protocol (publish, yank, verify, repair) is a generator: it yields a batch of requests that do not
depend on each other and is sent their replies, in order. So the number of batches is the number
of round trips, and a test can carry out the requests of several publishers in any order.
`s3.Bucket.run` carries them out for real.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Get:
    """Read an object; the reply is Stored, or None if it does not exist."""

    key: str


@dataclass(frozen=True)
class Put:
    """Write an object conditionally; the reply is Written, or None if the condition failed.

    If `etag` is None, create the object (`If-None-Match: *`); otherwise replace the one that was
    read (`If-Match`). `sha256` is hexadecimal; the server verifies it.
    """

    key: str
    body: bytes | Path
    sha256: str
    content_type: str
    cache_control: str
    etag: str | None = None


@dataclass(frozen=True)
class Stat:
    """Request size and digest; the reply is Facts, or None if the object does not exist.

    The digest is the server's own if it has one; otherwise, or if `deep`, it is computed from a
    download.
    """

    key: str
    deep: bool = False


@dataclass(frozen=True)
class CoreMetadata:
    """Download a wheel and read its METADATA; the reply is None if it is missing or damaged."""

    key: str


@dataclass(frozen=True)
class List:
    """List the objects under a prefix; the reply is {key: Listed}, in key order."""

    prefix: str


Request = Get | Put | Stat | CoreMetadata | List


@dataclass(frozen=True)
class Stored:
    """An object as read; `etag` is without quotes."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Written:
    """A successful PUT: the object's new ETag."""

    etag: str


@dataclass(frozen=True)
class Facts:
    """An object's size in bytes and hexadecimal SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Listed:
    """An object as listed: size in bytes, ETag without quotes.

    The ETag of an object written by one PUT is its MD5, unless a KMS key encrypts it.
    """

    size: int
    etag: str


Steps = Generator[Sequence[Request], list[Any], T]


def gather(*protocols: Steps[Any]) -> Steps[list[Any]]:
    """Run protocols concurrently: each batch holds the next requests of all of them.

    Return their results, in order.
    """
    results: list[Any] = [None] * len(protocols)
    waiting: dict[int, Sequence[Request]] = {}

    def advance(number: int, replies: list[Any] | None) -> None:
        waiting.pop(number, None)
        try:
            waiting[number] = protocols[number].send(replies)  # type: ignore[arg-type]
        except StopIteration as stop:
            results[number] = stop.value

    for number in range(len(protocols)):
        advance(number, None)
    while waiting:
        batch = dict(waiting)
        replies = iter((yield [request for requests in batch.values() for request in requests]))
        for number, requests in batch.items():
            advance(number, [next(replies) for _ in requests])
    return results


def ask(requests: Sequence[Request]) -> Steps[list[Any]]:
    """Carry out one batch, without a round trip if it is empty; return the replies."""
    return (yield requests) if requests else []


def get_all(keys: Sequence[str]) -> Steps[dict[str, Stored | None]]:
    """Read several objects in one batch; return {key: Stored or None}."""
    replies = yield from ask([Get(key) for key in keys])
    return dict(zip(keys, replies, strict=True))
