"""What a person can do about the errors that S3, or the way to it, answers with."""

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from s3index.config import Refused

NOT_REACHED = (BotoCoreError, ResponseParserError, KeyError, ValueError)
"""What boto3, and who reads its replies, raise where nothing answers, or something else than S3."""
ERRORS = (ClientError, *NOT_REACHED)
SIGN_IN = "Sign in (`aws sso login`, or set AWS_PROFILE), then run it again."
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
INVALID = (
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
)
ELSEWHERE = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
)


def code(error: ClientError) -> str:
    """Return S3's name of an error, such as NoSuchKey."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_elsewhere(error: ClientError) -> bool:
    """Tell whether the server says that the bucket is in another region."""
    return code(error) in ELSEWHERE or status(error) in (301, 302, 307)


def refusal(error: Exception, bucket: str) -> Refused:
    """Return the refusal for one of ERRORS."""
    if isinstance(error, ClientError):
        return refused_by_server(error, bucket)
    return not_reached(error, bucket)


def refused_by_server(error: ClientError, bucket: str) -> Refused:
    """Return the refusal for an error that the server answered with."""
    name = code(error)
    if name == "NoSuchBucket":
        return Refused(
            f"There is no bucket {bucket}. Create it, or correct bucket in [tool.s3index]."
        )
    if name in EXPIRED:
        return Refused(f"The AWS credentials have expired. {SIGN_IN}")
    if name in INVALID:
        return Refused(f"The AWS credentials are not valid ({name}). {SIGN_IN}")
    if is_elsewhere(error):
        return Refused(
            f"Bucket {bucket} is not in the region that [tool.s3index] names. Correct region."
        )
    if status(error) == 403:
        return Refused(
            f"Access to bucket {bucket} is denied ({error.operation_name}). Use the publishing "
            "role, or ask for its rights."
        )
    said = error.response.get("Error", {}).get("Message", "")
    return Refused(f"{error.operation_name} on bucket {bucket} failed: {name} {said}".rstrip())


def not_reached(error: Exception, bucket: str) -> Refused:
    """Return the refusal for an error that came before any answer of an S3 server."""
    if isinstance(error, NoCredentialsError):
        return Refused(f"There are no AWS credentials. {SIGN_IN}")
    if isinstance(error, (ResponseParserError, KeyError)):
        return Refused(
            f"What answers for bucket {bucket} is not S3. Correct AWS_ENDPOINT_URL_S3, or sign in "
            "to the network."
        )
    return Refused(f"Bucket {bucket} cannot be reached: {error}")


def refused_to_provision(error: ClientError, bucket: str) -> Refused:
    """Return the refusal for an error that stopped `provision`; what it did before stays done."""
    name, operation = code(error), error.operation_name
    said = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    if name == "BucketAlreadyExists":
        return Refused(
            f"Bucket {bucket} belongs to another account. Choose another in [tool.s3index]."
        )
    if name in (*EXPIRED, *INVALID) or is_elsewhere(error):
        return refused_by_server(error, bucket)
    if status(error) != 403:
        return Refused(f"{operation} failed: {name} {said}".rstrip())
    if "Bucket" in operation or "PublicAccessBlock" in operation:
        return Refused(
            f"{operation} on {bucket} is denied: {said}. Sign in as an administrator of the "
            "bucket's account; if the bucket is not yours, choose another in [tool.s3index]."
        )
    return Refused(
        f"{operation} is denied: {said}. Sign in as an administrator, or leave the role to one "
        "with --bucket-only."
    )
