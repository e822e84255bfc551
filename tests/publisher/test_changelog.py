"""A version's section is found in changelogs as people write them."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from s3index import changelog
from s3index.claims import new_claim
from s3index.distribution import read
from tests.distributions import sdist, wheel
from tests.world import NOW

KEPT = """# Changelog

## [Unreleased]

- soon

## [1.1.0] - 2026-11-20

### Added

- `a`

```sh
## 1.0.0
```

## [1.0.0] - 2026-10-01

- first

[1.1.0]: https://git.example.com/compare
"""
SETEXT = "Changes\n=======\n\nv1.1 (2026)\n-----------\n\n* a\n\nv1.0\n----\n\n* b\n"
RESTRUCTURED = """Changes
#######

1.1.0 (2026-11-20)
==================

* a

Added
-----

* b

1.0
===

* c
"""


@pytest.mark.parametrize(
    ("text", "kind", "version", "found"),
    [
        (KEPT, "md", "1.1.0", "### Added\n\n- `a`\n\n```sh\n## 1.0.0\n```"),
        (KEPT, "md", "1.0", "- first\n\n[1.1.0]: https://git.example.com/compare"),
        (KEPT, "md", "1.0.1", None),
        (SETEXT, "md", "1.1.0", "* a"),
        (SETEXT, "md", "1.0", "* b"),
        (RESTRUCTURED, "rst", "1.1.0", "* a\n\nAdded\n-----\n\n* b"),
        (RESTRUCTURED, "rst", "1.0", "* c"),
        ("# 1.0\n# 0.9\n", "md", "1.0", None),
        ("", "md", "1.0", None),
        ("## Release 2026.1.post1.\ntext", "md", "2026.1.post1", "text"),
        (f"# 1.0\n{'x' * 20_000}", "md", "1.0", "x" * changelog.LONGEST),
    ],
)
def test_section(text: str, kind: str, version: str, found: str | None) -> None:
    assert changelog.section(text, changelog.CONTENT_TYPES[kind], Version(version)) == found


@given(st.text("# =-~`1.0v[]\nab"), st.sampled_from(["md", "rst"]))
def test_any_text(text: str, kind: str) -> None:
    found = changelog.section(text, changelog.CONTENT_TYPES[kind], Version("1.0"))
    assert found is None or found in "\n".join(text.splitlines())


def test_a_heading_with_a_number_that_python_refuses_is_no_version() -> None:
    text = f"## {'9' * 5_000}\n\n- a\n\n## 1.0\n\n- b\n"
    assert changelog.section(text, "text/markdown", Version("1.0")) == "- b"


def test_a_release_has_the_section_of_its_sdist(tmp_path: Path) -> None:
    files = [read(wheel(tmp_path, version="1.1.0"))]
    files.append(
        read(sdist(tmp_path, version="1.1.0", changelog=KEPT.replace("`a`", "a\x0cb\x00")))
    )
    claim = new_claim(files, NOW, "tests", None)
    assert claim.changelog
    assert claim.changelog.content_type == "text/markdown"
    assert claim.changelog.text.startswith("### Added\n\n- a\nb")
    assert "\x00" not in claim.changelog.text


@pytest.mark.parametrize(
    "name", ["docs/CHANGELOG.md", "CHANGELOG.md/x", "CHANGELOG.txt", "README.md", "CHANGELOG"]
)
def test_other_files_are_not_the_changelog(tmp_path: Path, name: str) -> None:
    path = sdist(tmp_path, version="1.1.0")
    plain = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            plain[member.name] = content.read() if content else b""
    with tarfile.open(path, "w:gz") as archive:
        for each, body in {**plain, f"acme_common-1.1.0/{name}": KEPT.encode()}.items():
            info = tarfile.TarInfo(each)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    assert read(path).changelog is None
