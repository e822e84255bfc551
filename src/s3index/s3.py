"""Carry out the requests of `steps` concurrently; no other module uses S3 to publish."""

import random
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from botocore.config import Config as BotoConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.session import get_session

from s3index.aws_errors import ERRORS, code, is_elsewhere, refusal, status
from s3index.distribution import wheel_metadata
from s3index.errors import Refused, shown
from s3index.pages import LARGEST
from s3index.settings import Index
from s3index.steps import (
    CoreMetadata,
    Facts,
    Get,
    List,
    Listed,
    Put,
    Request,
    Stat,
    Steps,
    Stored,
    Written,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 16
"""Maximum concurrent requests."""
PATIENCE = 100
"""Batches with a lost swap before a publisher gives up; sixteen concurrent ones need far fewer."""
PART = 1 << 20
"""Bytes of a file to hold in memory at once."""
DOWNLOADS = 5
"""Attempts to download a body that is cut off; botocore does not retry these."""

Opener = Callable[[Path], BinaryIO]
"""Opens a file for an upload, perhaps to track its progress."""

T = TypeVar("T")


class Bucket:
    """An S3 bucket, accessed with boto3's ordinary chain of credentials and endpoints."""

    def __init__(
        self,
        index: Index,
        opener: Opener | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        """Create a client; send nothing yet.

        `trace` is called with each request and its outcome, for --verbose. Raise Refused if boto3
        cannot be configured, for instance because a profile does not exist.
        """
        self.name = index.bucket
        self._opener: Opener = opener or (lambda path: path.open("rb"))
        self._trace = trace
        options = BotoConfig(
            retries={"mode": "standard", "max_attempts": 5},
            max_pool_connections=WORKERS,
            connect_timeout=10,
            # S3-compatible servers get path-style requests, like their `url` in the pages.
            s3={"addressing_style": "path" if index.endpoint else "virtual"},
            # Each PUT sends its SHA-256; older servers support no other checksum headers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            client = get_session().create_client("s3", index.region, config=options)
        except (BotoCoreError, ValueError) as error:
            raise Refused(f"boto3 cannot be set up: {error}") from None
        self._s3 = cast("S3Client", client)
        self._s3.meta.events.register_first("needs-retry.s3", _stay_in_region)

    def run(self, protocol: Steps[T]) -> T:
        """Run a protocol, with the requests of each batch in parallel; return its result.

        Raise Refused if the protocol does, if the server refuses, or if too many batches lose a
        swap.
        """
        lost = 0
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                batch = next(protocol)
                while True:
                    replies = list(pool.map(self.perform, batch))
                    if any(_lost(*pair) for pair in zip(batch, replies, strict=True)):
                        lost += 1
                        self._back_off(lost)
                    batch = protocol.send(replies)
            except StopIteration as stop:
                return cast(T, stop.value)

    def perform(self, request: Request) -> Any:
        """Carry out one request and return the reply that `steps` documents for it."""
        try:
            reply = self._perform(request)
        except ERRORS as error:
            raise refusal(error, self.name) from None
        if self._trace:
            self._trace(f"{type(request).__name__} {shown(_subject(request))}: {_outcome(reply)}")
        return reply

    def _perform(self, request: Request) -> Any:
        match request:
            case Get(key):
                return self._get(key)
            case Put():
                return self._put(request)
            case Stat(key, deep):
                return self._stat(key, deep)
            case CoreMetadata(key):
                return self._core_metadata(key)
            case List(prefix):
                pages = self._s3.get_paginator("list_objects_v2")
                found = pages.paginate(Bucket=self.name, Prefix=prefix)
                return {
                    item["Key"]: Listed(item["Size"], item["ETag"].strip('"'))
                    for page in found
                    for item in page.get("Contents", [])
                }

    def _get(self, key: str) -> Stored | None:
        def read() -> Stored:
            reply = self._s3.get_object(Bucket=self.name, Key=key)
            # A larger object is not one of ours; the parser rejects it.
            body = reply["Body"].read(LARGEST + 1)
            if len(body) < min(reply["ContentLength"], LARGEST + 1):
                raise HTTPClientError(error="the answer was cut off")
            return Stored(body, reply["ETag"].strip('"'))

        return self._download(read)

    def _put(self, put: Put) -> Written | None:
        # AWS accepts If-Match with or without quotes, some S3-compatible servers only without.
        condition = {"IfNoneMatch": "*"} if put.etag is None else {"IfMatch": put.etag}
        with self._open(put.body) as body:
            try:
                reply = self._s3.put_object(
                    Bucket=self.name,
                    Key=put.key,
                    Body=body,
                    ContentType=put.content_type,
                    CacheControl=put.cache_control,
                    ChecksumSHA256=b64encode(bytes.fromhex(put.sha256)).decode(),
                    **condition,  # type: ignore[arg-type]
                )
            except ClientError as error:
                # AWS replies with 409 when two conditional writes conflict, and with 404 when the
                # object to be swapped is gone.
                if code(error) in ("PreconditionFailed", "ConditionalRequestConflict") or (
                    put.etag is not None and code(error) == "NoSuchKey"
                ):
                    return None
                raise
        return Written(reply["ETag"].strip('"'))

    def _open(self, body: bytes | Path) -> AbstractContextManager[BinaryIO | bytes]:
        if isinstance(body, bytes):
            # Bytes are sent at once; for a file, botocore asks first (Expect: 100-continue).
            return nullcontext(body)
        return self._opener(body)

    def _stat(self, key: str, deep: bool) -> Facts | None:
        try:
            head = self._s3.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if status(error) == 404 and code(error) != "NoSuchBucket":
                return None
            raise
        checksum = head.get("ChecksumSHA256", "")
        # A multipart upload has a digest of digests, written with a dash, which is useless here.
        if deep or not checksum or "-" in checksum:
            hexadecimal = self._download(lambda: self._digest(key))
            if hexadecimal is None:
                return None
        else:
            hexadecimal = b64decode(checksum).hex()
        return Facts(head["ContentLength"], hexadecimal)

    def _digest(self, key: str) -> str:
        digest = sha256()
        for part in self._s3.get_object(Bucket=self.name, Key=key)["Body"].iter_chunks(PART):
            digest.update(part)
        return digest.hexdigest()

    def _core_metadata(self, key: str) -> bytes | None:
        def read() -> bytes | None:
            with tempfile.TemporaryFile() as file:
                body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
                file.writelines(body.iter_chunks(PART))
                file.seek(0)
                try:
                    return wheel_metadata(file, key.rpartition("/")[2])
                except Refused:
                    return None

        return self._download(read)

    @staticmethod
    def _download(read: Callable[[], T]) -> T | None:
        """Return the result of `read`, None if there is no object; retry if the body is cut off."""
        for left in reversed(range(DOWNLOADS)):
            try:
                return read()
            except ClientError as error:
                if code(error) == "NoSuchKey":
                    return None
                raise
            except (HTTPClientError, IncompleteReadError):
                if not left:
                    raise
        return None

    @staticmethod
    def _back_off(lost: int) -> None:
        if lost > PATIENCE:
            raise Refused(
                f"{PATIENCE} swaps were lost to other publishers. Files and pages are whole; run "
                "the command again to finish."
            )
        time.sleep(random.uniform(0, 0.02 * 2 ** min(lost, 6)))


def _stay_in_region(response: tuple[Any, Any] | None, operation: Any, **_: Any) -> None:
    """Fail where boto3 would redirect to the bucket's region: public addresses name it too."""
    if response:
        error = ClientError(response[1], operation.name)
        if is_elsewhere(error):
            raise error


def _lost(request: Request, reply: Any) -> bool:
    return isinstance(request, Put) and reply is None


def _subject(request: Request) -> str:
    return request.prefix if isinstance(request, List) else request.key


def _outcome(reply: Any) -> str:
    match reply:
        case None:
            return "none"
        case Stored(body, etag):
            return f"{len(body)} bytes, ETag {etag}"
        case Written(etag):
            return f"written, ETag {etag}"
        case Facts(size, digest):
            return f"{size} bytes, SHA-256 {digest}"
        case _:
            return f"{len(reply)} found"
