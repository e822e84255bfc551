"""Publishing survives throttling and lost responses, and explains refusals and outages."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index.errors import Refused
from s3index.publish import yank
from s3index.s3 import Bucket
from s3index.verify import verify
from tests.commands import repository, s3index
from tests.distributions import sdist, wheel
from tests.protocol.standin import Answer, Rule, Seen, StandIn, error, forward, standing_in
from tests.world import Library, at, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Serve = Callable[[Rule], StandIn]

PUTS = 16
"""The objects that a first release of a wheel and an sdist writes: claim, name, three files, page
and eleven derived ones. The name's page is written a second time, with the files."""


@pytest.fixture
def serve(endpoint: str, s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that puts a stand-in with a rule in front of the server."""
    running = []

    def start(rule: Rule) -> StandIn:
        context = standing_in(rule, endpoint)
        stand_in = context.__enter__()
        running.append(context)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stand_in.url)
        return stand_in

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Skip the pauses between botocore's retries; return their lengths in seconds."""
    waited: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=waited.append))
    return waited


def refusal(library: Library, *files: Path) -> str:
    with pytest.raises(Refused) as caught:
        release(library, *files)
    return str(caught.value)


SIGN_IN = "Sign in (`aws sso login`, or set AWS_PROFILE), then run it again."
ELSEWHERE = "Bucket {bucket} is not in the region that [tool.s3index] names. Correct region."
DENIED = "Use the publishing role, or ask for its rights."
ANSWERS = {
    "expired credentials": (
        error(400, "ExpiredToken", "The provided token has expired."),
        f"The AWS credentials have expired. {SIGN_IN}",
    ),
    "an unknown key": (
        error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."),
        f"The AWS credentials are not valid (InvalidAccessKeyId). {SIGN_IN}",
    ),
    "a wrong secret": (
        error(403, "SignatureDoesNotMatch", "The signature we calculated does not match."),
        f"The AWS credentials are not valid (SignatureDoesNotMatch). {SIGN_IN}",
    ),
    "no permission": (
        error(403, "AccessDenied", "Access Denied"),
        "Access to bucket {bucket} is denied (GetObject). " + DENIED,
    ),
    "another region, moved": (
        error(
            301,
            "PermanentRedirect",
            "The bucket must be addressed using the specified endpoint.",
            "<Endpoint>acme.s3.eu-west-1.amazonaws.com</Endpoint>",
            x_amz_bucket_region="eu-west-1",
        ),
        ELSEWHERE,
    ),
    "another region, wrongly signed": (
        error(
            400,
            "AuthorizationHeaderMalformed",
            "The region 'eu-central-1' is wrong; expecting 'eu-west-1'",
            "<Region>eu-west-1</Region>",
        ),
        ELSEWHERE,
    ),
    "an error without a name of ours": (
        error(405, "MethodNotAllowed", "The specified method is not allowed."),
        "GetObject on bucket {bucket} failed: MethodNotAllowed The specified method is not "
        "allowed.",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_the_server_refuses(
    s3: "S3Client", library: Library, serve: Serve, tmp_path: Path, case: str
) -> None:
    answer, message = ANSWERS[case]

    def rule(seen: Seen) -> Answer | None:
        # A bucket in another region serves clients that sign for that region, as boto3 can.
        return None if "/eu-west-1/" in seen.headers["Authorization"] else answer

    stand_in = serve(rule)
    assert refusal(library, wheel(tmp_path)) == message.format(bucket=library.index.bucket)
    assert stand_in.puts() == []
    assert objects(s3, library.index) == {}


def test_no_permission_to_write(
    s3: "S3Client", library: Library, serve: Serve, tmp_path: Path
) -> None:
    denied = error(403, "AccessDenied", "Access Denied")
    serve(lambda seen: denied if seen.method == "PUT" else None)
    said = f"Access to bucket {library.index.bucket} is denied (PutObject). {DENIED}"
    assert refusal(library, wheel(tmp_path)) == said
    assert objects(s3, library.index) == {}


def test_no_credentials(
    library: Library, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = serve(lambda _: None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert refusal(library, wheel(tmp_path)) == f"No AWS credentials found. {SIGN_IN}"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert refusal(library, wheel(tmp_path)) == (
        "boto3 cannot be set up: The config profile (nobody) could not be found"
    )
    assert stand_in.seen == []


def test_an_endpoint_that_is_not_there(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        said = refusal(library, wheel(tmp_path))
    assert said == (
        f"Bucket {library.index.bucket} cannot be reached: Could not connect to the endpoint URL: "
        f'"{url}/{library.index.bucket}/packages/devtools/acme-common/"'
    )
    assert pauses


@pytest.mark.parametrize("status", [200, 500])
def test_a_web_page_in_place_of_s3(
    library: Library, serve: Serve, tmp_path: Path, status: int, pauses: list[float]
) -> None:
    page = Answer(status, {"Content-Type": "text/html"}, b"<!doctype html><p>Sign in<p>")
    serve(lambda _: page)
    said = refusal(library, wheel(tmp_path))
    assert said == (
        f"The server that answers for bucket {library.index.bucket} is not S3. Correct "
        "AWS_ENDPOINT_URL_S3, "
        "or sign in to the network."
        if status == 200
        else f"GetObject on bucket {library.index.bucket} failed: 500 Internal Server Error"
    )


def first(times: int, concerned: Callable[[Seen], bool], answer: Callable[[Seen], Answer]) -> Rule:
    """Return a rule that applies to the first `times` requests that are concerned."""
    count = iter(range(times))
    return lambda seen: answer(seen) if concerned(seen) and next(count, None) is not None else None


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_throttling_is_waited_for(
    s3: "S3Client", library: Library, serve: Serve, tmp_path: Path, pauses: list[float], method: str
) -> None:
    slow_down = error(503, "SlowDown", "Please reduce your request rate.")
    page = library.index.project_page(library.name)
    stand_in = serve(
        first(2, lambda seen: (seen.method, seen.key) == (method, page), lambda _: slow_down)
    )
    assert release(library, wheel(tmp_path))
    assert [seen.method for seen in stand_in.seen if seen.key == page].count(method) == 3
    assert len(pauses) == 2
    assert_sound(library)


@pytest.mark.full
def test_throttling_without_end(
    s3: "S3Client", library: Library, serve: Serve, tmp_path: Path, pauses: list[float]
) -> None:
    serve(lambda _: error(503, "SlowDown", "Please reduce your request rate."))
    said = refusal(library, wheel(tmp_path))
    assert said == (
        f"GetObject on bucket {library.index.bucket} failed: SlowDown Please reduce your request "
        "rate."
    )
    assert pauses
    assert objects(s3, library.index) == {}


@pytest.mark.full
@pytest.mark.parametrize("hangs_up", [True, False], ids=["no answer", "an error"])
def test_answers_that_get_lost(
    library: Library,
    endpoint: str,
    serve: Serve,
    tmp_path: Path,
    pauses: list[float],
    hangs_up: bool,
) -> None:
    """Each PUT is carried out, but its response is lost, and the client's retry gets a 412."""
    lost: set[str] = set()

    def rule(seen: Seen) -> Answer | None:
        if seen.method != "PUT" or seen.key in lost:
            return None
        lost.add(seen.key)
        forward(endpoint, f"/{library.index.bucket}/{seen.key}", seen)
        return Answer(0) if hangs_up else error(500, "InternalError", "We encountered an error.")

    stand_in = serve(rule)
    release(library, wheel(tmp_path), sdist(tmp_path))
    assert len(lost) == PUTS
    assert_sound(library)
    lost.clear()
    Bucket(library.index).run(yank(library.index, library.name, Version("0.1.0"), "it leaks"))
    assert library.index.project_page(library.name) in lost
    assert_sound(library)
    assert len(stand_in.puts()) < 60


@pytest.mark.full
def test_two_conditional_writes_that_meet(library: Library, serve: Serve, tmp_path: Path) -> None:
    """AWS answers a conditional PUT with 409 while another is in progress."""
    refused: set[str] = set()

    def rule(seen: Seen) -> Answer | None:
        if seen.method != "PUT" or seen.key in refused:
            return None
        refused.add(seen.key)
        return error(409, "ConditionalRequestConflict", "The conditional request cannot succeed.")

    serve(rule)
    assert release(library, wheel(tmp_path), sdist(tmp_path))
    assert len(refused) == PUTS
    assert_sound(library)


@pytest.mark.parametrize("what", ["a page", "a wheel"])
def test_an_answer_that_is_cut_off_in_its_body(
    library: Library, endpoint: str, serve: Serve, tmp_path: Path, what: str
) -> None:
    """The connection breaks while a body is received, which botocore does not retry."""
    release(library, wheel(tmp_path))
    page = library.index.project_page(library.name)
    key = page if what == "a page" else f"{page}acme_common-0.1.0-py3-none-any.whl"

    def half(seen: Seen) -> Answer:
        whole = forward(endpoint, f"/{library.index.bucket}/{seen.key}", seen)
        return Answer(whole.status, whole.headers, whole.body[: len(whole.body) // 2])

    stand_in = serve(first(3, lambda seen: (seen.method, seen.key) == ("GET", key), half))
    assert Bucket(library.index).run(verify(library.index, deep=True)).findings == []
    assert [seen.key for seen in stand_in.seen if seen.method == "GET"].count(key) == 4


@pytest.mark.full
def test_an_answer_that_is_always_cut_off(
    library: Library, endpoint: str, serve: Serve, tmp_path: Path
) -> None:
    release(library, wheel(tmp_path))

    def half(seen: Seen) -> Answer | None:
        if seen.method != "GET" or not seen.key.endswith("/"):
            return None
        whole = forward(endpoint, f"/{library.index.bucket}/{seen.key}", seen)
        return Answer(whole.status, whole.headers, whole.body[: len(whole.body) // 2])

    serve(half)
    said = refusal(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    assert said.startswith(f"Bucket {library.index.bucket} cannot be reached: ")


CLOCKS = [
    error(403, "RequestTimeTooSkewed", "The difference between the request time and ours is large"),
    error(403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than"),
]


@pytest.mark.parametrize("answer", CLOCKS, ids=["S3", "IAM"])
def test_a_clock_that_is_wrong(
    library: Library, serve: Serve, tmp_path: Path, answer: Answer
) -> None:
    serve(lambda _: answer)
    assert refusal(library, wheel(tmp_path)).startswith(
        "The clock of this machine differs too much from the server's ("
    )


def assert_sound(library: Library) -> None:
    report = verified(library)
    assert (report.findings, report.notes) == ([], [])


def test_the_command_says_it_in_a_line(
    s3: "S3Client", library: Library, serve: Serve, tmp_path: Path
) -> None:
    answer, message = ANSWERS["expired credentials"]
    serve(lambda _: answer)
    root = repository(at(library, "0.1.0"), tmp_path / "root")
    assert s3index(root, "publish", wheel(tmp_path), exits=1) == f"Error: {message}\n"
    assert objects(s3, library.index) == {}
