"""Feed the publisher foreign data: `python fuzzing.py documents|bucket|archives CASES`.

Whatever the data, a command must end with a result or with Refused. Any other error is raised, with
the case that led to it. Prints a line of JSON: the number of cases, the peak memory in megabytes,
and the paths outside the temporary folder that were opened for writing.
"""

import io
import json
import os
import re
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from packaging.version import Version

from s3index import pages, site
from s3index.claims import parse_claim
from s3index.distribution import parse_filename, read, read_release
from s3index.errors import Refused, shown
from s3index.publish import publish, yank
from s3index.repair import repair
from s3index.settings import LIST
from s3index.verify import verify
from tests.distributions import sdist, wheel
from tests.protocol import schedules
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import INDEX, Publish, carry_out
from tests.world import claim

CASES = int(sys.argv[2])
outside: set[str] = set()
cases = 0


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Record writes outside the temporary folder."""
    writes = event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.truncate")
    if event == "open" and isinstance(arguments[0], str):
        writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    # Only shutil.rmtree of a temporary folder passes a path with a folder's descriptor.
    last = arguments[-1] if event not in ("open", "os.truncate") and arguments else -1
    if writes and not (isinstance(last, int) and last >= 0):
        path = str(Path(os.fsdecode(arguments[0])).absolute())
        if not path.startswith(tempfile.gettempdir()) and path not in (
            os.devnull,
            "/proc/self/clear_refs",
        ):
            outside.add(f"{event} {path}")


NASTY = [
    "", "..", "../../x", "/tmp/x", "/etc/passwd", "a/b", "\ud800", "\x1b[31m", "\n::error::x", "\0",
    "<img src=x onerror=alert(1)>", "9" * 5_000, "1!0", "1.0+local", "ACME_Common", "acme-common",
    "acme-common\n", "acme_common-0.1.0.tar.gz", "../packages/devtools/acme-common/", "\uff12",
    "1e999", "0" * 64, "2026-02-31T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00Z", "1.1",
]  # fmt: skip
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 2**52, 2**52 - 1, 2**53, 2**64, 10**400]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(NASTY),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
places = st.lists(st.integers(0, 9), min_size=1, max_size=7)
edits = st.lists(st.tuples(places, st.sampled_from(["set", "drop", "twice"]), values), max_size=4)
flips = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=4)), max_size=6)


def edited(document: Any, place: list[int], how: str, value: object) -> Any:
    """Return a copy of a document that is changed in one place."""
    if not place or not isinstance(document, dict | list) or not document:
        return value
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = keys[place[0] % len(keys)]
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    if len(place) > 1 and isinstance(copy[key], dict | list):
        copy[key] = edited(copy[key], place[1:], how, value)
    elif how == "drop":
        del copy[key]
    elif how == "twice" and isinstance(copy, list):
        copy.append(copy[key])
    else:
        copy[key] = value
    return copy


def mutated(body: bytes, changes: list[tuple[list[int], str, object]]) -> bytes:
    """Return changed JSON, or other text with changed JSON in its serials comment."""
    if not body.startswith(b"{"):
        _, _, serials = body.rpartition(b"serials ")
        made, end = json.JSONDecoder().raw_decode(serials.decode())
        rest = serials.decode()[end:]
        for change in changes:
            made = edited(made, *change)
        return body[: -len(serials)] + (json.dumps(made) + rest).encode()
    document = json.loads(body)
    for change in changes:
        document = edited(document, *change)
    return json.dumps(document).encode()


def flipped(body: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    """Return a body with some bytes replaced; an empty change truncates it."""
    changed = bytearray(body)
    for place, new in changes:
        at = place % (len(changed) + 1)
        changed[at : at + len(new) if new else None] = new
    return bytes(changed)


start = MemoryBucket()
for action in (
    Publish("0.1.0"),
    Publish("1.0", "acme-other"),
    Publish("1", "acme-frames", team="data"),
):
    carry_out(action.start(INDEX), start.perform)
carry_out(yank(INDEX, "acme-other", Version("1.0"), "it leaks"), start.perform)
OBJECTS = start.objects
DOCUMENTS = sorted(
    key for key, body in OBJECTS.items() if body.startswith(b"{") or b"serials {" in body
)
bodies = st.one_of(
    st.builds(
        lambda key, changes: mutated(OBJECTS[key], changes), st.sampled_from(DOCUMENTS), edits
    ),
    st.builds(
        lambda key, changes: flipped(OBJECTS[key], changes), st.sampled_from(DOCUMENTS), flips
    ),
    st.binary(max_size=60),
    st.integers(0, 200_000).map(lambda depth: b"[" * depth),
)
names = st.text(st.characters(codec="utf-8"), max_size=30)
keys = st.one_of(
    st.sampled_from(sorted(OBJECTS)),
    names.map(lambda name: f"packages/devtools/{name}"),
    names.map(lambda name: f"packages/devtools/acme-common/{name}"),
    names.map(lambda name: f"packages/devtools/acme-common/release-{name}.json"),
    names.map(lambda name: f"simple/{name}/"),
)
own = st.sampled_from(DOCUMENTS).flatmap(
    lambda key: st.tuples(
        st.just(key),
        st.one_of(
            edits.map(lambda changes: mutated(OBJECTS[key], changes)),
            flips.map(lambda changes: flipped(OBJECTS[key], changes)),
        ),
    )
)
puts = st.lists(st.one_of(own, own, st.tuples(keys, bodies)), min_size=1, max_size=3)


def documents(body: bytes, text: str) -> None:
    """Parse one body as each kind of object, and write what was parsed."""
    key = "packages/devtools/acme-common/"
    with suppress(Refused):
        page = pages.parse_project(body, key, "acme-common")
        assert pages.parse_project(pages.dump(page), key, "acme-common") == page
        pages.record(page)
    with suppress(Refused):
        parse_claim(body, f"{key}release-0.1.json", "acme-common", Version("0.1.0"))
    with suppress(Refused):
        pages.owner(body, "simple/acme-common/")
    for base in ("", "../packages/"):
        with suppress(Refused):
            records, _ = pages.parse_list(body, LIST, base)
            site.constraints(records, INDEX, "us")
            assert pages.parse_list(pages.dump_list(records, base), LIST, base)[0] == records
    site.serials_of(body)
    site.same_state("dumb-pypi/x", body, body)
    with suppress(Refused):
        parse_filename(text)
    assert shown(text).isprintable()
    assert pages.line(text) is None or str(pages.line(text)).isprintable()


def in_bucket(found: list[tuple[str, bytes]]) -> None:
    """Run every command on a bucket with foreign objects."""
    hostile = MemoryBucket(OBJECTS | dict(found))
    for protocol in (
        verify(INDEX),
        verify(INDEX, project="acme-common"),
        Publish("0.2.0").start(INDEX),
        Publish("0.1.0").start(INDEX),
        yank(INDEX, "acme-common", Version("0.1.0"), True),
        Publish("1.1", "acme-other").start(INDEX),
        repair(INDEX),
        verify(INDEX),
        Publish("0.2.0").start(INDEX),
        Publish("2", "acme-frames", team="data").start(INDEX),
        repair(INDEX),
    ):
        with suppress(Refused):
            carry_out(protocol, hostile.perform)


FOLDER = Path(tempfile.mkdtemp())
WHEEL, SDIST = wheel(FOLDER), sdist(FOLDER)
WHEEL_BYTES, SDIST_BYTES = WHEEL.read_bytes(), SDIST.read_bytes()
members = st.one_of(
    st.sampled_from(["acme_common-0.1.0.dist-info/METADATA", "acme_common-0.1.0/PKG-INFO", "a.py"]),
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
headers = st.sampled_from(
    [
        "Name",
        "Version",
        "Requires-Dist",
        "Requires-Python",
        "License",
        "License-File",
        "Summary",
        "Project-URL",
        "Provides-Extra",
        "Metadata-Version",
        "Dynamic",
        "Classifier",
        "Author-email",
    ]
)
lines = st.one_of(
    st.builds("{}: {}".format, headers, st.text(max_size=30)),
    st.builds("{}: {}".format, headers, st.sampled_from(NASTY)),
    st.builds("Requires-Dist: a{}{}".format, st.sampled_from(["", ">=", ";", "[", "@"]), st.text()),
    st.integers(0, 5_000).map(lambda n: f"Requires-Dist: a; {'(' * n}"),
    st.text(max_size=30),
)
metadata = st.lists(lines, max_size=5).map(
    lambda found: "\n".join(
        ["Metadata-Version: 2.3", "Name: acme-common", "Version: 0.1.0", *found, ""]
    ).encode("utf-8", "surrogatepass")
)
contents = st.one_of(metadata, metadata, st.binary(max_size=50))
archives = st.lists(st.tuples(members, contents), min_size=1, max_size=4)


def zipped(found: list[tuple[str, bytes]], method: int) -> bytes:
    """Return a zip file of members, except those with names that cannot be written."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as archive:
        for name, content in found:
            with suppress(ValueError, IndexError):
                archive.writestr(name, content)
    return body.getvalue()


def tarred(found: list[tuple[str, bytes]], kind: bytes, pax: dict[str, str]) -> bytes:
    """Return a tar file of members of an arbitrary type, with extended headers."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in found:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.pax_headers = len(content), kind, pax
            with suppress(ValueError):
                archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


kinds = st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"5", b"x", b"g", b"L", b"S", b"K"])
pax = st.dictionaries(
    st.sampled_from(["path", "size", "GNU.sparse.map", "GNU.sparse.size", "hdrcharset", "mtime"]),
    st.sampled_from([*(text for text in NASTY if text.isprintable() and text), "-1", "9" * 12]),
    max_size=2,
)
methods = st.sampled_from([0, 8, 8, 12, 14])
files = st.one_of(
    st.tuples(st.just(WHEEL), flips.map(lambda changes: flipped(WHEEL_BYTES, changes))),
    st.tuples(st.just(SDIST), flips.map(lambda changes: flipped(SDIST_BYTES, changes))),
    st.tuples(st.just(WHEEL), st.builds(zipped, archives, methods)),
    st.tuples(
        st.just(WHEEL),
        metadata.map(lambda text: zipped([("acme_common-0.1.0.dist-info/METADATA", text)], 8)),
    ),
    st.tuples(st.just(SDIST), st.builds(tarred, archives, kinds, pax)),
    st.tuples(
        st.just(SDIST), metadata.map(lambda text: tarred([("a-1/PKG-INFO", text)], b"0", {}))
    ),
    st.tuples(st.sampled_from([WHEEL, SDIST]), st.binary(max_size=60)),
)


def distribution(found: tuple[Path, bytes]) -> None:
    """Read a file; if it is accepted, it can be published, and verify finds nothing."""
    path, body = found
    path.write_bytes(body)
    with suppress(Refused):
        read(path)
        [taken] = read_release([path], "acme-common", Version("0.1.0"))
        bucket = MemoryBucket()
        protocol = publish([taken], INDEX, claim([taken]))
        carry_out(protocol, bucket.perform)
        assert carry_out(verify(INDEX), bucket.perform).findings == []
    # repair reads core metadata from foreign wheels.
    hostile = MemoryBucket(OBJECTS | {f"packages/devtools/acme-common/{path.name}": body})
    hostile.delete("packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl.metadata")
    carry_out(repair(INDEX), hostile.perform)


def bombs() -> None:
    """Check that archives of a few kilobytes with gigabytes of metadata or headers are refused."""
    zeros = bytes(1 << 20)
    with (
        zipfile.ZipFile(WHEEL, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("acme_common-0.1.0.dist-info/METADATA", "w") as member,
    ):
        for _ in range(500):
            member.write(zeros)
    refused(WHEEL)
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE):
        with tarfile.open(SDIST, "w:gz") as archive_:
            member_ = tarfile.TarInfo("acme_common-0.1.0/PKG-INFO")
            member_.type, member_.size = kind, 500 << 20
            archive_.fileobj.write(member_.tobuf(tarfile.GNU_FORMAT))
            for _ in range(500):
                archive_.fileobj.write(zeros)
        refused(SDIST)


def refused(path: Path) -> None:
    """Check that a file is refused."""
    try:
        read(path)
    except Refused:
        return
    raise AssertionError(f"{path.name} was taken")


WHAT: dict[str, tuple[Callable[..., None], list[st.SearchStrategy[Any]]]] = {
    "documents": (documents, [bodies, st.one_of(names, st.sampled_from(NASTY), st.text())]),
    "bucket": (in_bucket, [puts]),
    "archives": (distribution, [files]),
}


def main() -> None:
    """Run the cases."""
    global cases
    check, strategies = WHAT[sys.argv[1]]
    # Rendering takes 30 ms, so rendered pages are cached, but only a few of them.
    for name in ("_render_project", "_render_list"):
        setattr(schedules, name, lru_cache(200)(getattr(schedules, name).__wrapped__))
    site.project_site, site.list_site = schedules._cached_project_site, schedules._cached_list_site

    def count(arguments: tuple[Any, ...]) -> None:
        global cases
        if cases == 0:
            # hypothesis needs 200 MB for its table of characters: measure the peak from here.
            Path("/proc/self/clear_refs").write_text("5")
        cases += 1
        check(*arguments)

    set_hypothesis_home_dir(FOLDER)
    warnings.simplefilter("ignore")  # zipfile's, about duplicate names
    sys.addaudithook(watch)
    quiet = settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    quiet(given(st.tuples(*strategies))(count))()
    if sys.argv[1] == "archives":
        bombs()
    # getrusage would include the process that started this one.
    [peak] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    memory = int(peak) // 1024
    print(json.dumps({"cases": cases, "memory": memory, "outside": sorted(outside)}))


if __name__ == "__main__":
    main()
