"""Find one version's section in a library's changelog, in Markdown or reStructuredText."""

import re
from collections.abc import Iterator

from packaging.version import Version

FILENAME = re.compile(r"(changelog|changes|history|news|release[-_]notes)\.(md|rst)", re.IGNORECASE)
"""The changelog's filename, in the top folder of an sdist."""
CONTENT_TYPES = {"md": "text/markdown", "rst": "text/x-rst"}
LONGEST = 10_000
"""Maximum length of a section, in characters; the rest is cut."""

_VERSION = re.compile(r"\bv?(\d[\w.!+-]*)", re.IGNORECASE)
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(\S.*)")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_UNDERLINE = re.compile(r"([^\w\s])\1{2,}\s*")


def section(text: str, content_type: str, version: Version) -> str | None:
    """Return a version's section of a changelog, without its heading; None if missing or empty.

    The section ends at the next heading of the same level or above.
    """
    lines = text.splitlines()
    headings = _markdown(lines) if content_type == CONTENT_TYPES["md"] else _underlined(lines)
    for _, start, level, title in headings:
        if _names(title, version):
            # The iterator goes on after this heading.
            end = next((line for line, _, depth, _ in headings if depth <= level), None)
            return "\n".join(lines[start:end]).strip()[:LONGEST] or None
    return None


def _names(title: str, version: Version) -> bool:
    for word in _VERSION.findall(title):
        try:
            if Version(word.rstrip(".")) == version:
                return True
        except ValueError:
            # InvalidVersion is a ValueError; a number of 5,000 digits raises a plain one.
            continue
    return False


def _markdown(lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    """Yield (line, line after it, level, title) of each heading."""
    fence = None
    for number, line in enumerate(lines):
        if marker := _FENCE.match(line):
            fence = None if fence == marker[1] else fence or marker[1]
        elif fence:
            continue
        elif heading := _HEADING.fullmatch(line):
            yield number, number + 1, len(heading[1]), heading[2]
        elif number and lines[number - 1].strip() and re.fullmatch(r"(={3,}|-{3,})\s*", line):
            yield number - 1, number + 1, 1 if line.startswith("=") else 2, lines[number - 1]


def _underlined(lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    """Yield (line, line after it, level, title) of each heading.

    Levels are numbered in the order in which their underline characters first appear.
    """
    order: list[str] = []
    for number in range(1, len(lines)):
        title, underline = lines[number - 1].rstrip(), lines[number].rstrip()
        if (
            not title
            or title[0].isspace()
            or not _UNDERLINE.fullmatch(underline)
            or _UNDERLINE.fullmatch(title)
            or len(underline) < len(title)
        ):
            continue
        if underline[0] not in order:
            order.append(underline[0])
        yield number - 1, number + 1, order.index(underline[0]), title
