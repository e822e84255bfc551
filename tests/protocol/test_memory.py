"""The bucket in memory replies as the real client with a real server does."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3index.errors import Refused
from s3index.s3 import Bucket
from s3index.steps import CoreMetadata, Get, List, Put, Request, Stat
from tests.distributions import sdist, wheel
from tests.protocol.memory import MemoryBucket
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

with tempfile.TemporaryDirectory() as name:
    WHEEL = wheel(Path(name)).read_bytes()
    SDIST = sdist(Path(name)).read_bytes()

NAME = "acme_common-0.1.0-py3-none-any.whl"
KEYS = ["a/", "a/b", "a/b/", f"a/b/{NAME}", "a/b/x.whl", "a/b/x.tar.gz", "ab", "a/ü +%.txt"]
BODIES = [b"", b"one", b"two", WHEEL, SDIST, WHEEL[:-9], SDIST[:-9]]
ETAGS = [None, "0" * 32, *(hashlib.md5(body).hexdigest() for body in BODIES)]


def put(key: str, body: bytes, etag: str | None = None) -> Put:
    return Put(key, body, hashlib.sha256(body).hexdigest(), "text/plain", "no-cache", etag)


keys = st.sampled_from(KEYS)
requests: st.SearchStrategy[Request] = st.one_of(
    # Few keys and few contents, so that conditions hold as often as they fail.
    st.builds(put, keys, st.sampled_from(BODIES)),
    st.builds(put, keys, st.sampled_from(BODIES), st.sampled_from(ETAGS)),
    st.builds(Get, keys),
    st.builds(Stat, keys, st.booleans()),
    st.builds(CoreMetadata, st.sampled_from([f"a/b/{NAME}", "a/b/x.whl", "a/b/x.tar.gz"])),
    st.builds(List, st.sampled_from(["", "a", "a/", "a/b", "a/b/", "none"])),
)


@pytest.fixture
def real(library: Library) -> Bucket:
    return Bucket(library.index)


@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sequence=st.lists(requests, min_size=5, max_size=25))
def test_same_replies_to_the_same_requests(
    s3: "S3Client", library: Library, real: Bucket, sequence: list[Request]
) -> None:
    s3.delete_objects(
        Bucket=library.index.bucket, Delete={"Objects": [{"Key": key} for key in KEYS]}
    )
    memory = MemoryBucket()
    for request in sequence:
        assert real.perform(request) == memory.perform(request), request
    assert real.perform(List("")) == memory.perform(List(""))


@pytest.mark.parametrize("request_", [Get("a/"), Stat("a/b"), put("a/", b"", "0" * 32)], ids=repr)
def test_what_is_missing(real: Bucket, request_: Request) -> None:
    assert real.perform(request_) is None
    assert MemoryBucket().perform(request_) is None


def test_the_same_content_has_the_same_etag_again(real: Bucket) -> None:
    for bucket in (real, MemoryBucket()):
        first = bucket.perform(put("a/", b"one"))
        second = bucket.perform(put("a/", b"two", first.etag))
        third = bucket.perform(put("a/", b"one", second.etag))
        assert third.etag == first.etag
        assert bucket.perform(put("a/", b"two", first.etag))


def test_a_wrong_checksum_is_refused() -> None:
    # moto does not verify checksums; AWS answers 400 BadDigest.
    bucket = MemoryBucket()
    with pytest.raises(Refused, match="BadDigest"):
        bucket.perform(replace(put("a/", b"one"), sha256="0" * 64))
    assert bucket.objects == {}
