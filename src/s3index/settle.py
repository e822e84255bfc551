"""Bring things on a server to what they should be, one after the other, and say what was done."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from s3index.config import Config
from s3index.errors import NOT_REACHED, code, not_reached, refused_to_provision, status
from s3index.policies import same

UNKNOWN = (405, 501)
"""What S3-compatible servers answer to requests for a setting that they do not have."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Thing:
    """A setting, or a whole thing such as a role, and how it is read and written.

    `read` returns what is there, None (or an answer of 404) if nothing is. `wanted` returns what
    should be there, and `write` makes it so; both get what was found.
    """

    what: str
    wanted: Callable[[Any], object]
    read: Callable[[], Any]
    write: Callable[[Any], object]


def settle(things: Iterable[Thing], say: Say, *, dry_run: bool) -> None:
    """Read each thing and write it if it is not what it should be; a dry run only reads.

    `say` gets a line for each: unchanged, created or changed, or what the server does not know.
    """
    would = "would be " if dry_run else ""
    for thing in things:
        try:
            there = found(thing.read)
            if there is not None and same(there, thing.wanted(there)):
                say(f"{thing.what}: unchanged")
                continue
            if not dry_run:
                thing.write(there)
        except ClientError as error:
            if status(error) not in UNKNOWN:
                raise
            say(f"Warning: {thing.what}: left out, this server does not know it ({code(error)})")
        else:
            say(f"{thing.what}: {would}{'created' if there is None else 'changed'}")


def found(read: Callable[[], Any]) -> Any:
    """Return what `read` returns, or None where the server answers that there is nothing."""
    try:
        return read()
    except ClientError as error:
        if status(error) == 404:
            return None
        raise


@contextmanager
def refusals(config: Config) -> Iterator[None]:
    """Raise Refused, for a person, in place of the errors of boto3."""
    try:
        yield
    except ClientError as error:
        raise refused_to_provision(error, config.bucket) from None
    except NOT_REACHED as error:
        raise not_reached(error, config.bucket) from None
