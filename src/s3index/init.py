"""Add settings, publish.py, workflows and a README section to a repository: `s3index init`.

The files and the rules for answers are the template's own: in an installed publisher they are in
`template/`, in a checkout where cookiecutter reads them.
"""

import difflib
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import tomlkit
import typer
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from s3index import build, install
from s3index.errors import Refused
from s3index.settings import Index, Project, index_of, read, table

HERE = Path(__file__).parent
TEMPLATE = HERE / "template" if (HERE / "template").is_dir() else HERE.parents[1]
FILES = TEMPLATE / "{{cookiecutter.project_slug}}"
WORKFLOWS = {"ci.yml": "s3index-build.yml", "release.yml": "s3index-release.yml"}
"""The template's workflows, and their names here, chosen not to clash with existing ones."""
QUESTIONS = {
    "team": "Team, the prefix of its index in the bucket",
    # An account's own bucket names end in the region.
    "region": "AWS region of the bucket",
    "bucket": "S3 bucket of the index",
    "access": "Who may install from the index (network, token or public)",
    "edge": "Address of the edge that has PyPI behind it, https://…",
    "repository": "Repository on GitHub, as owner/name",
}


def _hook(name: str) -> ModuleType:
    spec = spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PRE_GEN = _hook("pre_gen_project")
"""The template's hook with the rules for answers."""
POST_GEN = _hook("post_gen_project")
"""The template's hook that fills in the files."""


@dataclass(frozen=True)
class Change:
    """A file of the repository, before (None if it does not exist) and after."""

    path: Path
    old: str | None
    new: str

    def write(self) -> None:
        """Write the new text."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.new.encode())

    @property
    def diff(self) -> str:
        """Return the change as a unified diff."""
        name = str(self.path)
        old, new = (self.old or "").splitlines(), self.new.splitlines()
        source = "/dev/null" if self.old is None else name
        return "\n".join(difflib.unified_diff(old, new, source, name, lineterm=""))


def known(root: Path) -> dict[str, str]:
    """Return the answers that pyproject.toml and git already have."""
    document = read(root)
    settings = _table(_table(document, "tool"), "s3index")
    found = {key: str(settings[key]) for key in QUESTIONS if key in settings}
    urls = {
        key.lower(): str(url) for key, url in _table(_table(document, "project"), "urls").items()
    }
    for url in (urls.get("repository", ""), POST_GEN.git(root, "config", "remote.origin.url")):
        if name := POST_GEN.Template(url, "").on_github:
            found.setdefault("repository", name)
    return found


def ask(known: Mapping[str, str], *, yes: bool) -> dict[str, str]:
    """Return the known answers and prompt for the others; ask again for one that has problems.

    Raise Refused if known answers have problems, or if `yes` and an answer is not known.
    """
    answers = dict(known)
    for key, question in QUESTIONS.items():
        if answers[key] or (key == "edge" and answers["access"] != "token"):
            continue
        if yes:
            raise Refused(f"The {key} is not known. Add --{key}.")

        def valid(text: str, key: str = key) -> str:
            for problem in problems({**answers, key: text}):
                # A repository's owner has a rule of its own.
                about = "repository" if problem.startswith("github_owner ") else problem.split()[0]
                if about == key:
                    raise typer.BadParameter(problem)
            return text

        answers[key] = typer.prompt(question, value_proc=valid)
    if wrong := problems(answers):
        raise Refused("\n".join(wrong))
    return answers


def problems(answers: Mapping[str, str]) -> list[str]:
    """Return a line for each problem with the answers, by the template's own rules."""
    owner = answers["repository"].partition("/")[0]
    said = PRE_GEN.problems({**answers, "github_owner": owner})
    wrong = [line for line in said if line.partition(" ")[0] in {*answers, "github_owner"}]
    if not re.fullmatch(r"[A-Za-z0-9-]+/[\w.-]+", answers["repository"], re.ASCII):
        wrong.append(f"repository {answers['repository']!r}: must be owner/name")
    return wrong


def changes(
    project: Project, answers: Mapping[str, str], template: str
) -> tuple[list[Change], list[str]]:
    """Return the changes that a repository needs, and notes for its owner.

    `template` is the template's URL and commit, joined by @; empty means those that this publisher
    was installed from. An existing publish.py or workflow stays as it is.
    """
    settings = _settings(project.root, answers)
    index = index_of(table(tomllib.loads(settings.new)))
    owner = answers["repository"].partition("/")[0]
    source = _template(template, owner)
    notes: list[str] = source.notes(owner)
    default = _branch(project.root, "refs/remotes/origin/HEAD").partition("/")[2]
    branch = default or _branch(project.root, "HEAD") or "main"
    if not default and branch != "main":
        notes.append(
            f"Releases are made from {branch}, the current branch. If that is wrong, change it in "
            "the workflows."
        )
    found = [settings]
    answers = {**answers, "github_owner": owner}
    for path, text in _files(project, answers, index, source, branch).items():
        if not path.exists():
            found.append(Change(path, None, text))
        elif path.read_text(encoding="utf-8") != text:
            notes.append(f"{path} already exists and was left as is.")
    if readme := _readme(project.root, index, project.name):
        found.append(readme)
    else:
        notes.append("There is no README.md; `s3index publish` prints how to install.")
    return [change for change in found if change.old != change.new], notes


def _branch(root: Path, name: str) -> str:
    """Return the branch that a symbolic reference names; empty if none, or not plain YAML."""
    found: str = POST_GEN.git(root, "symbolic-ref", "--short", name)
    return found if re.fullmatch(r"[\w./-]+", found, re.ASCII) else ""


def _settings(root: Path, answers: Mapping[str, str]) -> Change:
    """Return pyproject.toml with missing `[tool.s3index]` and `[project.urls]` entries added."""
    path = root / "pyproject.toml"
    text = path.read_bytes().decode()
    document: Any = tomlkit.parse(text)
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    settings = tool.setdefault("s3index", tomlkit.table())
    for key in ("team", "bucket", "region", "access", "edge"):
        if answers[key]:
            settings.setdefault(key, answers[key])
    if answers["access"] == "token" and "distribution" not in settings:
        settings.add(tomlkit.comment("The CloudFront distribution that asks readers for tokens."))
        settings["distribution"] = ""
    if answers["access"] == "network" and "networks" not in settings:
        settings.add(
            tomlkit.comment("Who may read: CIDR blocks, ids of VPC endpoints for S3, or both.")
        )
        settings |= {"networks": [], "vpc_endpoints": []}
    urls = document["project"].setdefault("urls", tomlkit.table())
    if not any(key.lower() == "repository" for key in urls):
        urls["Repository"] = f"https://github.com/{answers['repository']}"
        if len(urls) == 1:
            urls.add(tomlkit.nl())
    return Change(path, text, _ends(tomlkit.dumps(document), text))


def _files(
    project: Project, answers: Mapping[str, str], index: Index, source: Any, branch: str
) -> dict[Path, str]:
    """Return {path: text} of the template's publish.py and workflows, filled in by its hook.

    Releases are made from `branch`.
    """
    root, document = project.root, read(project.root)
    context = {
        **answers,
        # An existing repository's index may have an address of its own.
        "edge": index.url,
        "python_version": _python(document),
        "project_slug": project.name,
        "package_name": _import_name(project),
    }
    poetry = build.uses_poetry(document)
    folder = Path(".github/workflows")
    with tempfile.TemporaryDirectory() as made:
        copied = Path(made)
        shutil.copytree(FILES / folder, copied / folder)
        shutil.copy(FILES / "publish.py", copied)
        POST_GEN.fill_in(copied, context, source)
        script = (copied / "publish.py").read_text()
        if not poetry:
            script = script.replace('"s3index @', '"s3index[build] @')
        files = {root / "publish.py": script}
        for name, ours in WORKFLOWS.items():
            text = (copied / folder / name).read_text()
            files[root / folder / ours] = _workflow(text, branch, poetry=poetry)
    return files


def _workflow(text: str, branch: str, *, poetry: bool) -> str:
    """Return a workflow for `branch`, without the jobs that need a new library's tools."""
    text = re.sub(r"(?ms)(^  #[^\n]*\n)?^  (lint|test|required):\n.*?(?=^  \S|\Z)", "", text)
    for name, ours in WORKFLOWS.items():
        text = text.replace(name, ours)
    text = text.replace("name: CI\n", "name: Build\n", 1).replace("group: ci-", "group: build-")
    text = text.replace("# The checks for every change.", "# The build of every change.", 1)
    if branch != "main":
        text = text.replace("branches: [main]", f"branches: [{branch}]")
        text = text.replace("s3index check-tag ", f"s3index check-tag --branch {branch} ")
    if not poetry:
        text = text.replace("install: s3index poetry", "install: s3index build")
        text = text.replace("run: poetry build", "run: pyproject-build")
    return text.rstrip("\n") + "\n"


def _readme(root: Path, index: Index, name: str) -> Change | None:
    path = root / "README.md"
    if not path.is_file():
        return None
    text = path.read_bytes().decode()
    section = install.markdown(index, name)
    new = _ends(f"{text.rstrip()}\n\n## Install from {index.bucket}\n\n{section}", text)
    return Change(path, text, text if f"{index.url}/simple/" in text else new)


def _template(said: str, owner: str) -> Any:
    """Return the template to name in publish.py and the workflows, as the hook's Template."""
    if said:
        url, _, commit = said.rpartition("@")
        if not url or not re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", commit):
            raise Refused(f"--template {said!r} must be URL@COMMIT, with the full commit.")
        return POST_GEN.Template(POST_GEN.web(url), commit)
    source = install.source()
    if vcs := source.vcs_info:
        tag = vcs.requested_revision or ""
        tag = tag if re.fullmatch(r"v[\w.+-]+", tag) else ""
        return POST_GEN.Template(POST_GEN.web(source.url), vcs.commit_id, tag)
    if (TEMPLATE / ".git").exists():
        commit = POST_GEN.git(TEMPLATE, "rev-parse", "HEAD")
        origin = POST_GEN.git(TEMPLATE, "config", "--get", "remote.origin.url")
        return POST_GEN.Template(POST_GEN.address(TEMPLATE, commit), commit, "", origin)
    return POST_GEN.Template(f"https://github.com/{owner}/s3-lib-template", POST_GEN.UNKNOWN)


def _python(document: dict[str, object]) -> str:
    """Return the oldest Python that the project and the template both support."""
    pythons: tuple[str, ...] = POST_GEN.PYTHONS
    try:
        wanted = SpecifierSet(str(_table(document, "project").get("requires-python", "")))
    except InvalidSpecifier:
        return pythons[-1]
    return next((python for python in pythons if wanted.contains(f"{python}.99")), pythons[-1])


def _import_name(project: Project) -> str:
    """Return the library's import name: the only package in src/, else the project's name."""
    packages = [path.parent.name for path in project.root.glob("src/*/__init__.py")]
    own = len(packages) == 1 and packages[0].isidentifier() and packages[0].isascii()
    return packages[0] if own else project.name.replace("-", "_")


def _ends(text: str, like: str) -> str:
    return re.sub(r"\r?\n", "\r\n", text) if "\r\n" in like else text


def _table(document: Mapping[str, object], name: str) -> dict[str, object]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
