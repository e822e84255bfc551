"""A wrong clock is reported as one, for S3, IAM and STS, and never as missing rights.

moto checks no dates, so a stand-in answers as AWS: S3's "Error responses", IAM's and STS's
"Troubleshoot Signature V4 errors".
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.access.administrator import provision, recorded
from tests.commands import s3index
from tests.distributions import wheel
from tests.protocol.standin import Answer, Seen, error
from tests.world import Library

SKEWED = error(
    403,
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
    "<RequestTime>20261124T203000Z</RequestTime><ServerTime>2026-11-24T21:30:00Z</ServerTime>"
    "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
)


def denied(name: str, message: str) -> Answer:
    """Return an error in IAM's and STS's format."""
    body = f"<Error><Type>Sender</Type><Code>{name}</Code><Message>{message}</Message></Error>"
    return Answer(
        403,
        {"Content-Type": "text/xml"},
        f"<ErrorResponse>{body}<RequestId>1</RequestId></ErrorResponse>".encode(),
    )


EXPIRED = "Signature expired: 20261124T203000Z is now earlier than 20261124T211500Z (15 min.)"
EARLY = "Signature not yet current: 20261124T223000Z is still later than 20261124T214500Z (15 min.)"
TOO_LATE = "The request reached the service too long after its date."
ANSWERS = {
    "S3": (SKEWED, "RequestTimeTooSkewed"),
    "behind": (denied("SignatureDoesNotMatch", EXPIRED), "SignatureDoesNotMatch"),
    "ahead": (denied("SignatureDoesNotMatch", EARLY), "SignatureDoesNotMatch"),
    "too late": (denied("RequestExpired", TOO_LATE), "RequestExpired"),
}


def always(answer: Answer) -> Callable[[Seen], Answer]:
    return lambda _: answer


def said(name: str) -> str:
    return (
        f"Error: The clock of this machine differs too much from the server's ({name}). Set the "
        "clock, then run it again.\n"
    )


@pytest.mark.parametrize("case", ANSWERS)
def test_provisioning_with_a_wrong_clock(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    answer, name = ANSWERS[case]
    options = "--bucket-only" if case == "S3" else "--role-only"
    with recorded(account, monkeypatch, always(answer)):
        assert provision(acme, options, exits=1)[1] == said(name)


def test_publishing_with_a_wrong_clock(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with recorded(account, monkeypatch, always(SKEWED)) as stand_in:
        assert s3index(acme.root, "publish", wheel(tmp_path), exits=1) == said(ANSWERS["S3"][1])
    assert stand_in.puts() == []


def test_a_wrong_secret_is_still_called_one(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = denied("SignatureDoesNotMatch", "The request signature we calculated does not match.")
    with recorded(account, monkeypatch, always(answer)):
        _, stderr = provision(acme, "--role-only", exits=1)
    assert "The AWS credentials are not valid (SignatureDoesNotMatch)." in stderr
