"""Every link, anchor and command in the template's and a generated repository's Markdown works."""

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.testing import CliRunner

from s3index.__main__ import app
from tests.template.baking import TEMPLATE, bake, python, run

RUN_BY = {
    "README.md": ["docs/test_readme.py"],
    "CONTRIBUTING.md": ["docs/test_markdown.py"],
    "docs/consumers.md": ["clients/test_matrix.py", "clients/test_tools.py"],
    "docs/customising.md": ["template/test_customising.py"],
    "docs/moving.md": ["docs/test_moving.py"],
    "docs/edge.md": ["docs/test_edge.py"],
    "docs/operations.md": ["docs/test_operations.py"],
    "docs/sharing.md": ["workflows/test_sharing.py"],
    "generated README.md": ["clients/test_install_text.py"],
    "generated CONTRIBUTING.md": ["clients/test_install_text.py"],
}
"""The tests that run a file's shell blocks."""

OWN = sorted(
    path.relative_to(TEMPLATE).as_posix()
    for path in [*TEMPLATE.glob("*.md"), *(TEMPLATE / "docs").glob("*.md")]
)
MADE = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
FILES = [*OWN, *(f"generated {name}" for name in MADE)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bake(tmp_path_factory.mktemp("baked"))


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, repository: Path) -> Path:
    made = request.param.startswith("generated ")
    root = repository if made else TEMPLATE
    return root / str(request.param).removeprefix("generated ")


def tokens(path: Path) -> Iterator[Token]:
    for token in MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")):
        yield token
        yield from token.children or []


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives a file's headings."""
    parsed = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    titles = [after.content for token, after in pairwise(parsed)
              if token.type == "heading_open"]  # fmt: skip
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def targets(path: Path) -> list[str]:
    links = [str(token.attrs[name]) for token in tokens(path) for name in ("href", "src")
             if name in token.attrs]  # fmt: skip
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def blocks(path: Path) -> list[str]:
    return [token.content for token in tokens(path) if token.info in ("sh", "console")]


def test_relative_links_and_anchors_lead_somewhere(file: Path) -> None:
    for target in targets(file):
        path, _, anchor = target.partition("#")
        linked = file.parent / path if path else file
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def test_every_markdown_file_of_a_generated_repository_is_looked_at(repository: Path) -> None:
    found = [path.relative_to(repository).as_posix() for path in repository.rglob("*.md")]
    assert sorted(found) == sorted(MADE)


def test_every_shell_block_is_run_by_a_test(request: pytest.FixtureRequest, file: Path) -> None:
    name = request.node.callspec.params["file"]
    tests = RUN_BY.get(name, [])
    assert bool(blocks(file)) == bool(tests)
    for test in tests:
        assert file.name in (TEMPLATE / "tests" / test).read_text(encoding="utf-8")


def commands(path: Path) -> list[list[str]]:
    """Return the commands that a file names in a line of text."""
    code = [token.content for token in tokens(path) if token.type == "code_inline"]
    lines = [line for block in blocks(path) for line in block.splitlines()]
    found = [line.removeprefix("$ ") for line in [*code, *lines]]
    starts = (
        "make ",
        "s3index ",
        "pipx run publish.py",
        "poetry run ",
        "cruft ",
        "cookiecutter ",
        "git ",
    )
    split = [shlex.split(line) for line in found if line.startswith(starts)]
    return [[word for word in words if word != "…"] for words in split]


def test_the_commands_that_a_text_names_exist(file: Path, repository: Path) -> None:
    for command in commands(file):
        words = command[2:] if command[:2] == ["poetry", "run"] else command
        if words[:3] == ["pipx", "run", "publish.py"]:
            # Without a subcommand, it publishes.
            rest = words[3:]
            words = ["s3index", *([] if rest and rest[0][0] != "-" else ["publish"]), *rest]
        if words[0] == "s3index":
            deep = 3 if words[1:2] == ["token"] else 2
            named = [word for word in words[1:deep] if word[0] != "-"]
            assert set(flags(words)) <= options("s3index", *named), command
        elif words[0] == "make":
            made = (TEMPLATE / "Makefile").read_text()
            goals = [word for word in words[1:] if "=" not in word]
            assert all(f"\n{goal}:" in made for goal in goals), command
        elif words[0] in ("cruft", "cookiecutter"):
            goal = words[1:2] if words[0] == "cruft" else []
            assert set(flags(words)) <= options(words[0], *goal), command
        else:
            assert words[0] == "git" or words[0] in tools(), command


def flags(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


@cache
def options(module: str, *arguments: str) -> frozenset[str]:
    """Return the options that a command's help lists; the command must exist."""
    if module == "s3index":
        done = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        said = done.stdout
    else:
        said = run(python(module, *arguments, "--help"), TEMPLATE, {"COLUMNS": "200"})
    return frozenset(re.findall(r"--[a-z][a-z-]*", said))


@cache
def tools() -> frozenset[str]:
    return frozenset(path.name for path in Path(sys.executable).parent.iterdir())


def test_the_commands_of_contributing_are_those_that_ci_runs() -> None:
    # CONTRIBUTING.md's own block: .ci/run runs both through make.
    ci = [line.strip() for line in (TEMPLATE / ".ci" / "run").read_text().splitlines()]
    for command in blocks(TEMPLATE / "CONTRIBUTING.md")[0].splitlines():
        assert command.removeprefix("$ ") in ci
