"""The text on installing taken apart: blocks of commands, and commands within its sentences."""

import re
from pathlib import Path

from tests.setup.locks import BENCH_LOCK


def part(text: str, heading: str) -> str:
    """Return what is below a heading, up to the next of its level or higher."""
    level = len(heading.split()[0])
    rest = text.split(f"\n{heading}\n", 1)[1] if f"\n{heading}\n" in text else ""
    assert rest or text.startswith(f"{heading}\n"), heading
    below = rest or text.removeprefix(f"{heading}\n")
    return re.split(rf"^#{{1,{level}}} ", below, flags=re.MULTILINE)[0]


def blocks(text: str, heading: str, language: str = "sh") -> list[str]:
    """Return the blocks of a language below a heading."""
    return re.findall(rf"```{language}\n(.*?)```", part(text, heading), re.DOTALL)


def commands(text: str, heading: str) -> list[str]:
    """Return the commands of a client that stand in the sentences below a heading."""
    return re.findall(r"`((?:pip|uv|poetry) [^`]+)`", part(text, heading))


def put_aws(folder: Path) -> None:
    """Put AWS's command line into a folder, in the version that the benchmarks' lock names."""
    tool = f"uv tool run --quiet --constraints '{BENCH_LOCK}' --from awscli aws"
    (folder / "aws").write_text(f'#!/bin/sh\nexec {tool} "$@"\n')
    (folder / "aws").chmod(0o755)
