"""What can be asked of a bucket, as data, and how protocols are made of it.

A protocol (publish, yank, verify, repair) is a generator: it yields a batch of requests that do not
depend on each other and is sent their replies, in order. So the number of batches is the number
of round trips, and a test can carry the requests of several publishers out in any order.
`s3.Bucket.run` carries them out for real.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Get:
    """Read an object; the reply is Stored, or None if there is none."""

    key: str


@dataclass(frozen=True)
class Put:
    """Write an object on a condition; the reply is Written, or None if the condition failed.

    `etag` None creates (`If-None-Match: *`); otherwise the object is swapped for the one that
    was read (`If-Match`). `sha256` is hexadecimal; the server verifies it.
    """

    key: str
    body: bytes | Path
    sha256: str
    content_type: str
    cache_control: str
    etag: str | None = None


@dataclass(frozen=True)
class Stat:
    """Ask for size and digest; the reply is Facts, or None if there is no object.

    The digest is the server's own where it holds one; otherwise, or if `deep`, it is computed
    from a download.
    """

    key: str
    deep: bool = False


@dataclass(frozen=True)
class CoreMetadata:
    """Download a stored wheel and read its METADATA; the reply is None if it is not intact."""

    key: str


@dataclass(frozen=True)
class List:
    """List what is stored under a prefix; the reply is {key: Listed}, in the order of keys."""

    prefix: str


Request = Get | Put | Stat | CoreMetadata | List


@dataclass(frozen=True)
class Stored:
    """An object as it was read; `etag` is without quotes."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Written:
    """A successful PUT: the object's new ETag."""

    etag: str


@dataclass(frozen=True)
class Facts:
    """What the server says of an object: size in bytes, hexadecimal SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it: size in bytes, ETag without quotes.

    The ETag of what one PUT wrote is the content's MD5, unless a key of KMS encrypts it.
    """

    size: int
    etag: str


Steps = Generator[Sequence[Request], list[Any], T]


def gather(*protocols: Steps[Any]) -> Steps[list[Any]]:
    """Run protocols side by side: each batch holds the next requests of all of them.

    Returns their results, in order.
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
    """Carry out one batch, without a round trip if it is empty; returns the replies."""
    return (yield requests) if requests else []


def get_all(keys: Sequence[str]) -> Steps[dict[str, Stored | None]]:
    """Read several objects in one batch; returns {key: Stored or None}."""
    replies = yield from ask([Get(key) for key in keys])
    return dict(zip(keys, replies, strict=True))
