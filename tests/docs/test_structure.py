"""Shipped modules stay within 500 lines, functions within 45.

import-linter checks that imports point one way, and ruff checks docstrings (`make lint`).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.baking import TEMPLATE

SHIPPED = [
    *sorted((TEMPLATE / "src" / "s3index").glob("*.py")),
    *sorted((TEMPLATE / "hooks").glob("*.py")),
    TEMPLATE / "{{cookiecutter.project_slug}}" / "publish.py",
]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def test_something_is_looked_at() -> None:
    assert {"pages.py", "pre_gen_project.py", "publish.py"} <= {path.name for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_is_shipped_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno < 45, function.name
