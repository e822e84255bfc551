"""S3 as it answers readers who may get objects but not list them.

Who lacks s3:ListBucket must not learn which keys exist: AWS answers 403 AccessDenied where it
would answer 404 NoSuchKey (Amazon S3 API Reference, GetObject, "Permissions"). moto answers 404 to
everybody, so this stands between the readers and moto. `denied` is a reader for whom every answer
is 403, as it is off the network that the bucket's policy names.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote

from tests.protocol.standin import Answer, Seen, error, forward, standing_in
from tests.world import Library


def listed(answer: Answer) -> Answer:
    """Answer a reader with s3:ListBucket: 404 for what is not there."""
    return answer


def unlisted(answer: Answer) -> Answer:
    """Answer a reader without s3:ListBucket: 403 for what is not there."""
    return denied(answer) if answer.status == 404 else answer


def denied(answer: Answer) -> Answer:
    """Answer a reader without any right."""
    return error(403, "AccessDenied", "Access Denied")


@contextmanager
def readers(library: Library, answered: Callable[[Answer], Answer]) -> Iterator[Library]:
    """Answer the bucket's readers so until the block ends; yield the library as they see it."""
    index = library.index
    endpoint = index.endpoint or ""

    def rule(seen: Seen) -> Answer:
        return answered(forward(endpoint, f"/{index.bucket}/{quote(seen.key)}", seen))

    with standing_in(rule, endpoint) as stand_in:
        yield replace(library, index=replace(index, url=f"{stand_in.url}/{index.bucket}"))
