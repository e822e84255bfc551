"""Readers' tokens, stored in the edge's key value store as a digest and an expiry time each.

A token starts with its name, so that the edge can find the digest to compare.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import boto3
from botocore.compat import HAS_CRT
from botocore.exceptions import ClientError

from s3index.aws_errors import found, refusals, status
from s3index.errors import Denied, Refused
from s3index.install import with_extra
from s3index.settings import Index

if TYPE_CHECKING:
    from mypy_boto3_cloudfront_keyvaluestore import CloudFrontKeyValueStoreClient


@dataclass(frozen=True)
class Store:
    """A CloudFront key value store: a token's name is the key, `<SHA-256> <end>` the value.

    The end is when it expires, in seconds since 1970; 0 is never.
    """

    arn: str
    client: "CloudFrontKeyValueStoreClient"

    def add(self, name: str, days: int | None) -> str:
        """Create a token that is valid for some days, or for ever, and return it.

        Raise Refused if the name already exists.
        """
        state = self._state()
        if self._has(name):
            raise Refused(f"Token {name} already exists. Revoke it first, or choose another name.")
        token = f"{name}.{secrets.token_urlsafe(32)}"
        end = int((datetime.now(UTC) + timedelta(days)).timestamp()) if days else 0
        value = f"{sha256(token.encode()).hexdigest()} {end}"
        self.client.put_key(KvsARN=self.arn, IfMatch=state, Key=name, Value=value)
        return token

    def states(self) -> Iterator[tuple[str, str]]:
        """Yield (name, when it expires) for each token, ordered by name."""
        pages = self.client.get_paginator("list_keys").paginate(KvsARN=self.arn)
        for item in sorted((i for page in pages for i in page["Items"]), key=lambda i: i["Key"]):
            end = item["Value"].partition(" ")[2]
            if not end.isascii() or not end.isdecimal() or len(end) > 11:
                yield item["Key"], "not a token: revoke it"
            elif end == "0":
                yield item["Key"], "never expires"
            else:
                day = datetime.fromtimestamp(int(end), UTC)
                yield item["Key"], f"expire{'s' if day > datetime.now(UTC) else 'd'} {day:%Y-%m-%d}"

    def revoke(self, name: str) -> None:
        """Delete a token; raise Refused if it does not exist."""
        state = self._state()
        if not self._has(name):
            raise Refused(f"No token {name}. `s3index token list` shows all of them.")
        self.client.delete_key(KvsARN=self.arn, IfMatch=state, Key=name)

    def _state(self) -> str:
        return self.client.describe_key_value_store(KvsARN=self.arn)["ETag"]

    def _has(self, name: str) -> bool:
        return bool(found(lambda: self.client.get_key(KvsARN=self.arn, Key=name)))


@contextmanager
def opened(index: Index) -> Iterator[Store]:
    """Yield the store named after the bucket; raise Refused if it cannot be used."""
    if not HAS_CRT:
        raise Refused(
            "token needs the AWS Common Runtime. This installs an s3index with it: "
            f"{with_extra('edge')}"
        )
    with refusals(index.bucket):
        try:
            cloudfront = boto3.client("cloudfront", index.region)
            described = found(lambda: cloudfront.describe_key_value_store(Name=index.bucket))
            if described is None:
                raise Refused(
                    f"CloudFront has no key value store {index.bucket}. Set up the edge "
                    "(docs/edge.md), or sign in to its account."
                )
            client = boto3.client("cloudfront-keyvaluestore", index.region)
            yield Store(described["KeyValueStore"]["ARN"], client)
        except ClientError as error:
            if status(error) in (409, 412):
                raise Refused("The tokens were changed at the same time. Run it again.") from None
            if status(error) == 403:
                raise Denied(
                    f"{error.operation_name} is denied. Sign in as an administrator of the edge."
                ) from None
            raise
