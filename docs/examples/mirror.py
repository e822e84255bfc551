"""Bring a folder to what the bucket holds: `python mirror.py acme-packages /srv/packages`.

For a web server on a machine of its own; docs/operations.md shows one. Needs boto3, and the right
to read and to list the bucket. Run it from a timer; it can be stopped at any time.

A file system cannot hold an object `x/` beside a folder `x/`: such a page is kept in the folder, as
index.json, or as index.html where pages are HTML.
"""

import sys
from collections.abc import Iterable
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

INDEXES = {"packages/": "index.json", "dumb-pypi/": "index.html"}
IMMUTABLE = (".whl", ".tar.gz", ".zip")


def main(bucket: str, folder: Path) -> None:
    """Fetch what is new or has changed, remove what is gone; say how much of each."""
    s3 = boto3.client("s3")
    # Pages are read before files are listed: what a page names was in the bucket before it.
    pages = {
        path: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        for path, item in stored(s3, bucket).items()
        if not path.endswith(IMMUTABLE) and digest(folder / path) != item["ETag"].strip('"')
    }
    there = stored(s3, bucket)
    files = [path for path in there if path.endswith(IMMUTABLE) and not (folder / path).exists()]
    for path in files:
        reply = s3.get_object(Bucket=bucket, Key=there[path]["Key"])
        write(folder / path, reply["Body"].iter_chunks(1 << 20))
    for path, body in pages.items():
        write(folder / path, [body])
    gone = local(folder) - there.keys()
    for path in gone:
        (folder / path).unlink()
    print(f"{len(files)} files and {len(pages)} pages fetched, {len(gone)} removed.")


def stored(s3: "S3Client", bucket: str) -> dict[str, "ObjectTypeDef"]:
    """Return what the bucket holds, by the path in the folder that it has or will have."""
    found = {}
    for prefix, index in INDEXES.items():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item["Key"]
                # A key is any text; this one would lead out of the folder.
                if ".." not in key.split("/"):
                    found[f"{key}{index}" if key.endswith("/") else key] = item
    return found


def local(folder: Path) -> set[str]:
    """Return the paths of the files in the folder."""
    paths = [path for prefix in INDEXES for path in (folder / prefix).rglob("*")]
    return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}


def digest(path: Path) -> str:
    """Return a file's MD5, which is its ETag on S3; another ETag only means one more download."""
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.exists() else ""


def write(path: Path, parts: Iterable[bytes]) -> None:
    """Put a file in place all at once, so that nobody is served half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    with half.open("wb") as file:
        file.writelines(parts)
    half.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python mirror.py BUCKET FOLDER")
    main(sys.argv[1], Path(sys.argv[2]))
