"""Reconcile resources on a server with their desired state, one by one, and report each."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from s3index.aws_errors import ERRORS, code, refusal, status
from s3index.policies import same
from s3index.settings import Index

NOT_SUPPORTED = (405, 501)
"""Statuses of S3-compatible servers' replies about settings that they do not support."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Resource:
    """A setting, or a whole resource such as a role, and how to read and write it.

    `read` returns the current state; None, or a 404 reply, means that it does not exist.
    """

    name: str
    desired: object
    read: Callable[[], object]
    write: Callable[[], object]


def reconcile(resources: Iterable[Resource], report: Report, *, dry_run: bool) -> None:
    """Read each resource, and write it if it differs from its desired state; a dry run only reads.

    `report` gets a line for each: unchanged, created, changed or skipped.
    """
    would = "would be " if dry_run else ""
    for resource in resources:
        try:
            current = found(resource.read)
            if current is not None and same(current, resource.desired):
                report(f"{resource.name}: unchanged")
                continue
            if not dry_run:
                resource.write()
        except ClientError as error:
            if status(error) not in NOT_SUPPORTED:
                raise
            reason = f"not supported by this server ({code(error)})"
            report(f"Warning: {resource.name}: skipped: {reason}")
        else:
            report(f"{resource.name}: {would}{'created' if current is None else 'changed'}")


def found(read: Callable[[], Any]) -> Any:
    """Return the result of `read`, or None if the server replies with 404."""
    try:
        return read()
    except ClientError as error:
        if status(error) == 404:
            return None
        raise


@contextmanager
def refusals(index: Index) -> Iterator[None]:
    """Raise Refused, with a message for users, in place of boto3's errors."""
    try:
        yield
    except ERRORS as error:
        raise refusal(error, index.bucket, administrator=True) from None
