"""Read the index as a consumer does, without any of the publisher's code."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

Link = tuple[str, str]
"""The key of a distribution or its core metadata, and the SHA-256 in the link."""


def offered(objects: Mapping[str, bytes], team: str) -> dict[str, dict[str, Any]]:
    """Return {key of a file: its entry} from every project page of a team."""
    root = f"packages/{team}/"
    return {
        key + file["url"]: file
        for key, body in objects.items()
        if key.startswith(root) and key.endswith("/") and key != root
        for file in json.loads(body)["files"]
    }


def broken_links(objects: Mapping[str, bytes], base: str) -> list[str]:
    """Return the links whose target is missing or has other bytes.

    `base` is the public address of the bucket.
    """
    return [
        f"{key} links to {target} with SHA-256 {digest}"
        for key, body in objects.items()
        for target, digest in links(key, body, base)
        if target not in objects or _digest(objects[target]) != digest
    ]


@lru_cache(10_000)
def links(key: str, body: bytes, base: str) -> tuple[Link, ...]:
    """Return the links of an index object to distributions and their core metadata."""
    address = f"{base}/{key}"

    def at(url: str) -> str:
        return unquote(urldefrag(urljoin(address, url)).url.removeprefix(f"{base}/"))

    return tuple((at(url), digest) for url, digest in _said(key, body))


def _said(key: str, body: bytes) -> Iterator[Link]:
    """Yield the links of one object as written: the URL and the SHA-256."""
    if key.endswith("/constraints.txt"):
        for line in body.decode().splitlines():
            if " @ " in line:
                url, _, digest = line.split(" @ ")[1].partition("#sha256=")
                yield url, digest
    elif key.startswith(("packages/", "simple/")) and key.endswith("/"):
        page = json.loads(body)
        latest = [said.get("_latest", {}) for said in page.get("projects", [])]
        files = [
            *page.get("files", []),
            *(file for said in latest for file in said.get("files", [])),
        ]
        for file in files:
            yield file["url"], file["hashes"]["sha256"]
            if "core-metadata" in file:
                yield f"{file['url']}.metadata", file["core-metadata"]["sha256"]
    elif key.startswith("dumb-pypi/"):
        anchors = _Anchors()
        anchors.feed(body.decode())
        yield from anchors.found


class _Anchors(HTMLParser):
    """Collects a page's anchors that have a digest (PEP 503, PEP 658)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Link] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        url, _, digest = (attributes.get("href") or "").partition("#sha256=")
        if tag != "a" or not digest:
            return
        self.found.append((url, digest))
        metadata = attributes.get("data-core-metadata")
        if metadata:
            self.found.append((f"{url}.metadata", metadata.removeprefix("sha256=")))


@lru_cache(10_000)
def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()
