"""Name the template in the new project, make it a git repository and print the next steps."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
UNKNOWN = "COMMIT"
"""Placeholder for an unknown commit."""


class Template(NamedTuple):
    """The template that a project is made from, as others can access it."""

    url: str
    commit: str
    tag: str = ""
    origin: str = ""
    changed: bool = False
    pushed: bool = True
    """False if no other repository is known to have the commit."""

    @property
    def requirement(self) -> str:
        """Return this template's publisher as a requirement for pip and uv (PEP 508)."""
        return f"s3index @ git+{self.url}@{self.commit}" if self.commit else f"s3index @ {self.url}"

    def action(self, owner: str) -> str:
        """Return this template's action as named in a workflow; `owner` is the default owner."""
        name = self.on_github or f"{owner}/s3-lib-template"
        return f"{name}@{self.commit or UNKNOWN}" + (f" # {self.tag}" if self.tag else "")

    @property
    def on_github(self) -> str:
        """Return owner/name of the repository if it is known to be on GitHub, else nothing."""
        for url in (self.url, self.origin):
            found = re.search(r"[/@]github\.[\w.-]+[/:]([\w-]+/[\w.-]+?)(\.git)?$", url)
            if found:
                return found[1]
        return ""

    def notes(self, owner: str) -> list[str]:
        """Return notes on what does not work yet on another machine, or on GitHub."""
        said = []
        if self.commit == UNKNOWN:
            said.append(
                "The template's commit is not known. Replace COMMIT with it in publish.py and in "
                f".github/workflows. If the template is not at {self.url}, correct the address."
            )
        if not self.pushed and not self.url.startswith("file:"):
            said.append(
                f"The template's commit {self.commit} is only on this machine: push it to "
                f"{self.url}."
            )
        if self.url.startswith("file:"):
            said.append(
                f"publish.py installs the publisher from {self.url}, which only this machine has: "
                "push the template, then correct the address."
            )
        if self.changed:
            said.append("The template has uncommitted changes, which the publisher will lack.")
        action = self.action(owner)
        if not self.on_github or not self.commit:
            said.append(
                f"The workflows install the publisher from {action}, which must exist on GitHub."
            )
        return said


def git(folder: Path, *arguments: str) -> str:
    """Return the stdout of a git command in `folder`, or nothing if it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def template_folder(answers: Mapping[str, object]) -> Path | None:
    """Return the folder that the template was read from, if it can still be found."""
    # cookiecutter and cruft run hooks while working in that folder. Without /proc, take the path in
    # the answers, relative to the user's directory.
    said = str(answers.get("_repo_dir") or answers.get("_template"))
    for place in (Path(f"/proc/{os.getppid()}/cwd"), Path(os.environ.get("PWD", "."), said)):
        try:
            if (place / "cookiecutter.json").is_file():
                return place.resolve()
        except OSError:
            continue
    return None


def find_template(answers: Mapping[str, object]) -> Template:
    """Return the template, with its commit, that a project is made from."""
    folder, said = template_folder(answers), str(answers.get("_template"))
    fixed = web(str(answers.get("_template_address") or ""))
    commit = str(answers.get("_commit", ""))
    commit = commit if re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", commit) else ""
    if folder and (folder / ".git").exists():
        commit = commit or git(folder, "rev-parse", "HEAD")
        cloned = str(answers.get("_repo_dir")) != said
        found = address(folder, commit, cloned)
        newest = ("-c", "versionsort.suffix=-", "tag", "--points-at", commit, "--sort=-v:refname")
        tag = git(folder, *newest).split("\n")[0]
        return Template(
            fixed or found,
            commit or UNKNOWN,
            tag if re.fullmatch(r"[\w.+/-]+", tag) else "",
            git(folder, "config", "--get", "remote.origin.url"),
            changed=not cloned and git(folder, "status", "--porcelain") != "",
            pushed=not found.startswith("file:"),
        )
    if commit:
        return Template(fixed or web(said), commit)
    if folder and not fixed and not said.lower().endswith(".zip"):
        return Template(folder.as_uri(), "")
    guess = f"https://github.com/{answers['github_owner']}/s3-lib-template"
    return Template(fixed or guess, UNKNOWN)


def address(folder: Path, commit: str, cloned: bool = False) -> str:
    """Return the URL of a repository that has `commit`: the origin of `folder`, or `folder` itself.

    `cloned` means that `folder` was just cloned, so that its origin has everything in it.
    """
    origin = git(folder, "config", "--get", "remote.origin.url")
    published = ["refs/remotes/origin", *(["refs/tags"] if cloned else [])]
    if not origin or not git(folder, "for-each-ref", "--contains", commit, *published):
        return folder.as_uri()
    place = Path(folder, urllib.parse.unquote(origin.removeprefix("file://")))
    return address(place.resolve(), commit) if place.is_dir() else web(origin)


def web(url: str) -> str:
    """Return a repository's URL in pip's form, without a password."""
    url = re.sub(r"^(https?://)[^/]*@", r"\1", url.rstrip("/").removeprefix("git+"))
    if url and "://" not in url:
        # git@github.com:acme/s3-lib-template.git
        url = "ssh://" + url.replace(":", "/", 1)
    return urllib.parse.quote(url, safe=":/@~%+")


def fill_in(folder: Path, answers: Mapping[str, object], template: Template) -> None:
    """Replace the `__NAMES__` in publish.py and the workflows, which Jinja does not render."""
    region, oldest = str(answers["region"]), str(answers["python_version"])
    domain = "com.cn" if region[:3] == "cn-" else "eu" if region[:5] == "eusc-" else "com"
    bucket = f"https://{answers['bucket']}.s3.{region}.amazonaws.{domain}"
    values = {
        "TEMPLATE_REQUIREMENT": template.requirement,
        "TEMPLATE_ACTION": template.action(str(answers["github_owner"])),
        "PYTHON": oldest,
        "PYTHONS": json.dumps(PYTHONS[PYTHONS.index(oldest) :]),
        "PROJECT": str(answers["project_slug"]),
        "IMPORT": str(answers["package_name"]),
        "REGION": region,
        "ACCESS": str(answers["access"]),
        "INDEX": f"{answers['edge'] or bucket}/simple/",
    }
    for path in (folder / "publish.py", *sorted((folder / ".github" / "workflows").glob("*.yml"))):
        text = path.read_bytes().decode()
        # The values have been validated: they have no quotes or line breaks.
        for name, value in values.items():
            text = text.replace(f"__{name}__", value)
        path.write_bytes(text.encode())


def make_repository(folder: Path) -> str | None:
    """Make `folder` a git repository on branch main with every file added, none committed.

    An existing repository stays as it is. Return None, or why there is no repository.
    """
    if (folder / ".git").exists():
        return None
    # Without the user's settings: their ignore files, templates, hooks or line endings must not
    # decide what is added. Older git does not support GIT_CONFIG_GLOBAL, hence HOME.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"), os.devnull)
    environment["GIT_CONFIG_NOSYSTEM"] = "1"
    for command in ("init --quiet", "symbolic-ref HEAD refs/heads/main", "add --all"):
        try:
            subprocess.run(
                ["git", *command.split()],
                cwd=folder,
                env=environment,
                check=True,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError:
            return "git is not installed"
        except subprocess.CalledProcessError as error:
            return f"git {command} failed: {error.stderr.strip()}"
    return None


def next_commands(folder: Path) -> list[str]:
    """Return the commands to set up and test the project from the user's directory."""
    here = os.environ.get("PWD")
    place = folder.name if here and folder.parent == Path(here).resolve() else str(folder)
    return [f"cd {shlex.quote(place)}", "poetry install", "poetry run pytest"]


def is_cruft_update(answers: Mapping[str, object], folder: Path) -> bool:
    """Return whether `cruft update` renders `folder` only to compare it with another.

    cruft records `_commit`, cookiecutter does not; the update works in a folder named by tempfile.
    A repository there would become part of the patch.
    """
    temporary = re.fullmatch(tempfile.gettempprefix() + r"\w" * 8, folder.parent.name)
    inside = folder.parent.parent == Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and inside and temporary is not None


def main() -> None:
    """Finish the project in the working directory, where cookiecutter runs its hooks."""
    # Percent-encoded, so that no answer can end the string and become code.
    answers: dict[str, object] = json.loads(
        urllib.parse.unquote("{{ cookiecutter | jsonify | urlencode }}")
    )
    # A fork presets an answer, instead of asking for it, with an underscore: `_bucket`.
    answers = {key.removeprefix("_"): value for key, value in answers.items()} | answers
    folder = Path.cwd()
    template = find_template(answers)
    fill_in(folder, answers, template)
    if is_cruft_update(answers, folder):
        return
    trouble = make_repository(folder)
    if trouble:
        print(
            f"No git repository was created ({trouble}). To create one: git init && git add --all"
        )
    print(f"\n{folder.name} is ready. Next:\n")
    for command in next_commands(folder):
        print(f"    {command}")
    print()
    if answers["access"] == "public" and answers["license"] == "Proprietary":
        print(
            "Warning: the licence is proprietary, but access = public lets everybody on the "
            "internet download what is released. If that is not intended, set access in "
            "pyproject.toml and in release.yml to network or token."
        )
    notes = template.notes(str(answers["github_owner"]))
    oldest = str(answers["python_version"])
    if tuple(map(int, oldest.split("."))) > sys.version_info[:2]:
        notes.append(
            f"The library needs Python {oldest} or newer, but this is Python "
            f"3.{sys.version_info.minor}. Poetry needs {oldest} or newer on PATH."
        )
    for note in notes:
        print(f"Note: {note}")


if __name__ == "__main__":
    main()
