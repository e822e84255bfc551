"""Extract commands from Markdown: in code blocks, and within sentences."""

import re
from pathlib import Path

from tests.setup.locks import BENCH_LOCK


def part(text: str, heading: str) -> str:
    """Return the text below a heading, up to the next of its level or higher."""
    level = len(heading.split()[0])
    rest = text.split(f"\n{heading}\n", 1)[1] if f"\n{heading}\n" in text else ""
    assert rest or text.startswith(f"{heading}\n"), heading
    below = rest or text.removeprefix(f"{heading}\n")
    return re.split(rf"^#{{1,{level}}} ", below, flags=re.MULTILINE)[0]


def blocks(text: str, heading: str, language: str = "sh") -> list[str]:
    """Return a language's code blocks below a heading."""
    return re.findall(rf"```{language}\n(.*?)```", part(text, heading), re.DOTALL)


def commands(text: str, heading: str) -> list[str]:
    """Return the client commands in the sentences below a heading."""
    return re.findall(r"`((?:pip|uv|poetry) [^`]+)`", part(text, heading))


def put_aws(folder: Path) -> None:
    """Put the AWS CLI into a folder, in the version pinned by the benchmarks' lock."""
    tool = f"uv tool run --quiet --constraints '{BENCH_LOCK}' --from awscli aws"
    (folder / "aws").write_text(f'#!/bin/sh\nexec {tool} "$@"\n')
    (folder / "aws").chmod(0o755)
