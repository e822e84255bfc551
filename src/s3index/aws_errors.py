"""Translate errors of boto3, S3 and IAM into what went wrong, and what the user can do about it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from s3index.errors import Denied, Refused

ERRORS = (ClientError, BotoCoreError, ResponseParserError, KeyError, ValueError)
"""Raised by boto3 and by code that reads its replies. All but the first: no S3 server answered."""
SIGN_IN = "Sign in (`aws sso login`, or set AWS_PROFILE), then run it again."
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
INVALID = (
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
)
CLOCK = ("RequestTimeTooSkewed", "RequestExpired")
CLOCK_MESSAGES = ("Signature expired", "Signature not yet current")
"""Prefixes of SignatureDoesNotMatch messages from IAM and STS that are about the time."""
ELSEWHERE = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
)

T = TypeVar("T")


def code(error: ClientError) -> str:
    """Return an error's code, such as NoSuchKey."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def found(read: Callable[[], T]) -> T | None:
    """Return the result of `read`, or None if the server replies with 404."""
    try:
        return read()
    except ClientError as error:
        if status(error) == 404:
            return None
        raise


def is_elsewhere(error: ClientError) -> bool:
    """Return whether the server says that the bucket is in another region."""
    return code(error) in ELSEWHERE or status(error) in (301, 302, 307)


@contextmanager
def refusals(bucket: str) -> Iterator[None]:
    """Raise Refused, with a message for administrators, in place of boto3's errors."""
    try:
        yield
    except ERRORS as error:
        raise refusal(error, bucket, administrator=True) from None


def refusal(error: Exception, bucket: str, *, administrator: bool = False) -> Refused:
    """Return the refusal for one of ERRORS, with advice for a publisher or an administrator."""
    if isinstance(error, NoCredentialsError):
        return Denied(f"No AWS credentials found. {SIGN_IN}")
    if isinstance(error, (ResponseParserError, KeyError)):
        return Refused(
            f"The server that answers for bucket {bucket} is not S3. Correct "
            "AWS_ENDPOINT_URL_S3, or sign in to the network."
        )
    if not isinstance(error, ClientError):
        return Refused(f"Bucket {bucket} cannot be reached: {error}")
    name = code(error)
    if name in CLOCK or (name in INVALID and _message(error).startswith(CLOCK_MESSAGES)):
        return Refused(
            f"The clock of this machine differs too much from the server's ({name}). Set the "
            "clock, then run it again."
        )
    if name in EXPIRED:
        return Denied(f"The AWS credentials have expired. {SIGN_IN}")
    if name in INVALID:
        return Denied(f"The AWS credentials are not valid ({name}). {SIGN_IN}")
    if is_elsewhere(error):
        return Refused(
            f"Bucket {bucket} is not in the region that [tool.s3index] names. Correct region."
        )
    return _for_administrators(error, bucket) if administrator else _for_publishers(error, bucket)


def _for_publishers(error: ClientError, bucket: str) -> Refused:
    if code(error) == "NoSuchBucket":
        return Refused(
            f"There is no bucket {bucket}. Create it with `s3index provision`, or correct "
            "bucket in [tool.s3index]."
        )
    if status(error) == 403:
        return Denied(
            f"Access to bucket {bucket} is denied ({error.operation_name}). Use the publishing "
            "role, or ask for its rights."
        )
    failed = f"{error.operation_name} on bucket {bucket} failed: {code(error)} {_message(error)}"
    return Refused(failed.rstrip())


def _for_administrators(error: ClientError, bucket: str) -> Refused:
    operation, message = error.operation_name, _message(error).rstrip(".")
    if code(error) == "BucketAlreadyExists":
        return Refused(
            f"Bucket {bucket} belongs to another account. Choose another in [tool.s3index]."
        )
    if status(error) != 403:
        return Refused(f"{operation} failed: {code(error)} {message}".rstrip())
    if "Bucket" in operation or "PublicAccessBlock" in operation:
        return Refused(
            f"{operation} on {bucket} is denied: {message}. Sign in as an administrator of the "
            "bucket's account; if the bucket is not yours, choose another in [tool.s3index]."
        )
    return Refused(
        f"{operation} is denied: {message}. Sign in as an administrator, or set up only the bucket "
        "with --bucket-only."
    )


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))
