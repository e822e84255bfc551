"""Every combination of choices bakes, and the tools pass on a sample that covers each choice."""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from packaging.requirements import Requirement

from hooks.pre_gen_project import problems
from tests.template.baking import ANSWERS, STUBS, TEMPLATE, bake, bake_from, python, run

STARTERS = ["opentelemetry", "empty"]
LICENSES = {
    "Proprietary": ("LicenseRef-Proprietary", "Copyright (c) Acme. All rights reserved."),
    "MIT": ("MIT", "MIT License\n\nCopyright (c) Acme\n"),
    "Apache-2.0": ("Apache-2.0", "Apache License\n                           Version 2.0"),
}
ACCESS = ["public", "network", "token"]
EDGE = "https://packages.acme.example"
FOLDER = "{{cookiecutter.project_slug}}"


def files(folder: Path) -> dict[str, bytes]:
    """Return a folder's files, without git's and without tools' caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not re.search(r"/\.git/|__pycache__|_cache/", path.as_posix())
    }


def parse(path: str, content: bytes) -> None:
    text = content.decode()
    if path.endswith(".toml"):
        tomllib.loads(text)
    elif path.endswith(".json"):
        json.loads(text)
    elif path.endswith((".yml", ".yaml")):
        yaml.safe_load(text)
    elif path.endswith(".py"):
        ast.parse(text)
    if not path.startswith(".github/"):
        assert "cookiecutter" not in text
        assert not re.search(r"\{[{%#]|[}%#]\}", text)
    assert not re.search(r"__[A-Z_]+__", text)


@pytest.mark.parametrize(
    ("starter", "licence", "access"), [*itertools.product(STARTERS, LICENSES, ACCESS)]
)
def test_every_combination_renders_valid_files(
    cookies: Any, monkeypatch: pytest.MonkeyPatch, starter: str, licence: str, access: str
) -> None:
    monkeypatch.setenv("PATH", f"{STUBS}{os.pathsep}{os.environ['PATH']}")
    edge = EDGE if access == "token" else ""
    choices = {"starter": starter, "license": licence, "access": access, "edge": edge}
    result = cookies.bake(template=str(TEMPLATE), extra_context=choices)
    assert result.exception is None
    assert result.project_path.name == "acme-common"
    project = files(result.project_path)
    for path, content in project.items():
        parse(path, content)

    settings = tomllib.loads(project["pyproject.toml"].decode())
    identifier, opening = LICENSES[licence]
    assert settings["project"]["license"] == identifier
    assert project["LICENSE"].decode().strip().startswith(opening)
    assert settings["tool"]["s3index"] == {
        "team": "devtools",
        "bucket": "acme-packages",
        "region": "eu-central-1",
        "access": access,
        **({"networks": [], "vpc_endpoints": []} if access == "network" else {}),
        **({"edge": EDGE, "distribution": ""} if edge else {}),
    }
    code = {path for path in project if path.startswith(("src/", "tests/"))}
    package = {"src/acme_common/__init__.py", "src/acme_common/py.typed"}
    assert code == package | (
        {"src/acme_common/metrics.py", "tests/test_metrics.py"}
        if starter == "opentelemetry"
        else {"tests/test_package.py"}
    )


SAMPLE = [
    ("opentelemetry", "Proprietary", "public"),
    pytest.param(("empty", "MIT", "network"), marks=pytest.mark.full),
    pytest.param(("opentelemetry", "Apache-2.0", "token"), marks=pytest.mark.full),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "project" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-combination")
        chosen = [*itertools.product(STARTERS, LICENSES, ACCESS)] if every else SAMPLE
        metafunc.parametrize("project", chosen, ids="-".join, indirect=True, scope="module")


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    starter, licence, access = request.param
    folder = tmp_path_factory.mktemp("baked")
    edge = EDGE if access == "token" else ""
    return bake(folder, starter=starter, license=licence, access=access, edge=edge)


def test_tools_pass_untouched(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    env = {"PYTHONPATH": "src", "MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy")}
    assert run(python("poetry", "check", "--strict"), project) == "All set!\n"
    run(python("ruff", "check", "--no-cache"), project)
    run(python("ruff", "format", "--check", "--no-cache"), project)
    run(python("mypy"), project, env)
    assert " passed" in run(python("pytest", "-p", "no:cacheprovider"), project, env)


@pytest.mark.full
def test_its_own_pre_commit_hooks_pass_untouched(project: Path) -> None:
    said = run(python("pre_commit", "run", "--all-files", "--verbose"), project, on_path(project))
    assert "Failed" not in said
    assert "Skipped" not in said, said
    assert said.count("Passed") == (project / ".pre-commit-config.yaml").read_text().count("- id:")


@pytest.mark.full
def test_its_own_pre_commit_hooks_find_what_is_wrong(tmp_path: Path) -> None:
    project = bake(tmp_path, starter="empty")
    (project / "src" / "acme_common" / "wrong.py").write_text("import os\nx:int = '1' \n\n")
    (project / ".github" / "workflows" / "wrong.yml").write_text(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@main\n"
    )
    run(["git", "add", "--all"], project)
    with pytest.raises(AssertionError) as failure:
        run(python("pre_commit", "run", "--all-files"), project, on_path(project))
    for hook in ("ruff check", "ruff format", "mypy", "zizmor"):
        assert re.search(rf"^{hook}\.+Failed$", str(failure.value), re.MULTILINE), hook


def on_path(project: Path) -> dict[str, str]:
    """Return an environment in which `poetry run` finds the tools of the tests' environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = {"PRE_COMMIT_HOME": str(project.parent / "pre-commit"), "PYTHONPATH": "src"}
    return {"PATH": path, "VIRTUAL_ENV": sys.prefix, **home}


@pytest.fixture(scope="module")
def built(project: Path) -> Path:
    """Build a wheel and an sdist; return the project's folder."""
    run(python("poetry", "build"), project)
    return project


@pytest.mark.full
def test_packaging_tools_find_nothing(built: Path) -> None:
    run(python("validate_pyproject", "pyproject.toml"), built)
    files = [str(path) for path in sorted((built / "dist").iterdir())]
    said = run(python("twine", "check", "--strict", *files), built)
    assert said.count("PASSED") == len(files) == 2
    said = run(python("check_wheel_contents", "dist"), built)
    assert re.fullmatch(r"dist/\S+\.whl: OK\n", said)


def test_distributions_hold_the_library_alone(built: Path) -> None:
    library = {path for path in files(built) if path.startswith("src/")}
    with tarfile.open(built / "dist" / "acme_common-0.1.0.tar.gz") as sdist:
        names = {name.removeprefix("acme_common-0.1.0/") for name in sdist.getnames()}
    packaging = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names == library | packaging
    with zipfile.ZipFile(built / "dist" / "acme_common-0.1.0-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    info = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"}
    assert names == {path.removeprefix("src/") for path in library} | {
        f"acme_common-0.1.0.dist-info/{name}" for name in info
    }


def test_examples_in_the_readme_run(project: Path) -> None:
    blocks = MarkdownIt().parse((project / "README.md").read_text())
    examples = [block.content for block in blocks if block.info == "python"]
    assert examples
    run(python("ruff", "format", "--check", "-"), project, text="\n\n".join(examples))
    for example in examples:
        run([*python("sys")[:1], "-W", "error", "-c", example], project, {"PYTHONPATH": "src"})


@pytest.mark.parametrize(
    "version",
    ["3.10", *(pytest.param(f"3.{n}", marks=pytest.mark.full) for n in (11, 12, 13)), "3.14"],
)
@pytest.mark.parametrize("starter", STARTERS)
def test_code_is_well_formed_for_each_python_and_the_longest_names(
    tmp_path: Path, version: str, starter: str
) -> None:
    names = {"project_slug": "a" * 64, "package_name": "z" * 64}
    project = bake(tmp_path, python_version=version, starter=starter, **names)
    run(python("ruff", "check", "--no-cache"), project)
    run(python("ruff", "format", "--check", "--no-cache"), project)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "https://acme-packages.s3.eu-central-1.amazonaws.com/"),
        ("us-gov-west-1", "https://acme-packages.s3.us-gov-west-1.amazonaws.com/"),
        ("cn-north-1", "https://acme-packages.s3.cn-north-1.amazonaws.com.cn/"),
        ("eusc-de-east-1", "https://acme-packages.s3.eusc-de-east-1.amazonaws.eu/"),
    ],
)
def test_readme_names_the_index(tmp_path: Path, region: str, host: str) -> None:
    readme = (bake(tmp_path, region=region) / "README.md").read_text()
    urls = set(re.findall(r"https://\S+?amazonaws[^\s>]+", readme))
    assert {f"{host}simple/", f"{host}simple/constraints.txt"} <= urls
    assert all(url.startswith((f"{host}simple/", f"{host}dumb-pypi/devtools/")) for url in urls)
    assert f"\npip install -c {host}simple/constraints.txt acme-common\n" in readme


def test_workflows_are_not_rendered(tmp_path: Path) -> None:
    template = tmp_path / "template"
    ignored = shutil.ignore_patterns("*_cache", "__pycache__")
    shutil.copytree(TEMPLATE / FOLDER, template / FOLDER, ignore=ignored)
    shutil.copytree(TEMPLATE / "hooks", template / "hooks")
    shutil.copy(TEMPLATE / "cookiecutter.json", template)
    content = b"ref: ${{ github.ref }} {# no comment #} {{ cookiecutter.team }}\r\n\n"
    (template / FOLDER / ".github" / "workflows" / "jinja.yml").write_bytes(content)
    assert files(bake_from(template, tmp_path / "out"))[".github/workflows/jinja.yml"] == content


@pytest.mark.parametrize("access", ["public", "network", "token"])
def test_a_repository_is_small(tmp_path: Path, access: str) -> None:
    edge = "https://packages.acme.example" if access == "token" else ""
    project = files(bake(tmp_path, access=access, edge=edge))
    assert len(project) <= 20
    del project["LICENSE"]
    assert sum(len(content.splitlines()) for content in project.values()) <= 750


def test_no_package_can_take_a_name_in_use(tmp_path: Path) -> None:
    project = bake(tmp_path)
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    groups = [settings["project"]["dependencies"], *settings["dependency-groups"].values()]
    needed = {Requirement(text).name for group in groups for text in group}
    for name in needed:
        assert problems(ANSWERS | {"project_slug": name}), name

    provided = importlib.metadata.packages_distributions()
    imported = {name for name, owners in provided.items() if needed & set(owners)}
    folders = {path.stem for path in project.iterdir() if path.is_dir() or path.suffix == ".py"}
    taken = {name for name in imported | folders if name.isidentifier() and name[0] != "_"}
    assert {"opentelemetry", "pytest", "tests"} <= taken
    for name in taken:
        assert problems(ANSWERS | {"package_name": name}), name


def test_every_file_earns_its_place_in_the_design(tmp_path: Path) -> None:
    design = (TEMPLATE / "docs" / "design.md").read_text(encoding="utf-8")
    table = design.split("### What each file of a generated repository is for")[1].split("###")[0]
    named = set(re.findall(r"`([^`]+)`", table)) | {"release.yml"}
    for path in files(bake(tmp_path)):
        parts = path.split("/")
        assert {path, f"{parts[0]}/", parts[-1]} & named, path
