"""Mirror the index in a bucket to a folder: `python mirror.py acme-packages /srv/packages`.

For a web server on its own machine; docs/operations.md shows one. Needs boto3 and permission to
read and list the bucket. Run it from a timer; it can be interrupted at any time.

Only objects that clients or people read are copied. Any other key, which no publisher would have
written, is reported on stderr and skipped; the rest is still copied, and the exit code is 1.

A file system cannot hold both an object `x/` and a folder `x/`: such a page is stored in the folder
as index.json, or as page.html where pages are HTML.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

INDEXES = {"packages/": "index.json", "simple/": "index.json", "dumb-pypi/": "page.html"}
IMMUTABLE = (".whl", ".tar.gz", ".zip")
NAME = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
FILE = r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.(whl|tar\.gz|zip)(\.metadata)?"
COPIED = re.compile(
    rf"packages/{NAME}/(constraints\.txt|{NAME}/({FILE})?)?"
    rf"|simple/(constraints\.txt|{NAME}/)?"
    rf"|dumb-pypi/({NAME}/index/)?(index\.html|feed\.xml)"
    rf"|dumb-pypi/{NAME}/index/simple/{NAME}/(index\.html)?"
)
LEFT_OUT = re.compile(
    rf"packages/{NAME}/{NAME}/release-[a-z0-9.+!]+\.json"
    rf"|dumb-pypi/{NAME}/index/(changelog/page1\.html|simple/(index\.html)?|pypi/{NAME}/json)"
)
"""Claims, which only publishers read, and lists of s3index 0.3.0 and older, which nothing reads."""
LONGEST = 250
"""The longest name, in characters, that most file systems accept with `.part` appended."""


def main(bucket: str, folder: Path) -> bool:
    """Fetch new and changed objects, remove deleted ones; return whether nothing was skipped."""
    s3 = boto3.client("s3")
    skipped: dict[str, str] = {}
    # Read pages before listing files: a file is in the bucket before a page names it.
    pages = {}
    for path, item in stored(s3, bucket, skipped).items():
        with skipping(item["Key"], skipped):
            if not path.endswith(IMMUTABLE) and digest(folder / path) != item["ETag"].strip('"'):
                pages[path] = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    there = stored(s3, bucket, skipped)
    files = [path for path in there if path.endswith(IMMUTABLE) and not (folder / path).is_file()]
    fetched = []
    for path in files:
        with skipping(path, skipped):
            reply = s3.get_object(Bucket=bucket, Key=path)
            write(folder / path, reply["Body"].iter_chunks(1 << 20))
            fetched.append(path)
    changed = []
    for path, body in pages.items():
        with skipping(path, skipped):
            write(folder / path, [body])
            changed.append(path)
    gone = local(folder) - there.keys()
    for path in gone:
        (folder / path).unlink()
    for key, reason in skipped.items():
        # As its repr: a key can contain line breaks and terminal control sequences.
        print(f"Skipped {key!r}: {reason}", file=sys.stderr)
    print(f"{len(fetched)} files and {len(changed)} pages fetched, {len(gone)} removed.")
    return not skipped


def stored(s3: "S3Client", bucket: str, skipped: dict[str, str]) -> dict[str, "ObjectTypeDef"]:
    """Return the bucket's objects by the path that each has, or will have, in the folder."""
    found = {}
    for prefix, index in INDEXES.items():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item["Key"]
                if max(map(len, key.split("/"))) > LONGEST:
                    skipped[key] = "too long for a file system"
                elif COPIED.fullmatch(key):
                    found[f"{key}{index}" if key.endswith("/") else key] = item
                elif not LEFT_OUT.fullmatch(key):
                    skipped[key] = "not a key of the index"
    return found


@contextmanager
def skipping(key: str, skipped: dict[str, str]) -> Iterator[None]:
    """Record an object that cannot be read or stored, and continue with the next."""
    try:
        yield
    except (ClientError, OSError) as error:
        skipped[key] = str(error)


def local(folder: Path) -> set[str]:
    """Return the paths of the files in the folder."""
    paths = [path for prefix in INDEXES for path in (folder / prefix).rglob("*")]
    return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}


def digest(path: Path) -> str:
    """Return a file's MD5, normally its ETag on S3; any other ETag only costs a download."""
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.exists() else ""


def write(path: Path, parts: Iterable[bytes]) -> None:
    """Replace a file atomically, so that nobody is served half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    with half.open("wb") as file:
        file.writelines(parts)
    half.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python mirror.py BUCKET FOLDER")
    sys.exit(0 if main(sys.argv[1], Path(sys.argv[2])) else 1)
