"""The machine of one job of a workflow: what its steps do, and what its actions leave behind."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.workflows.expressions import Contexts, Unsupported, condition, interpolate
from tests.workflows.image import Image

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Repository:
    """What every machine of a run is told: the repository, the event, the image to start from."""

    origin: Path
    image: Image
    ref: str
    event: str = "push"

    @property
    def sha(self) -> str:
        """Return the commit of the event's ref."""
        return git(self.origin, "rev-parse", f"{self.ref}^{{commit}}").strip()

    def artifact(self, name: str) -> Path:
        """Return where an artifact of the run is kept."""
        return self.image.folder / "artifacts" / name


class Machine:
    """The machine of one job: its folders, and what its steps leave for those after them."""

    def __init__(
        self, github: Repository, name: str, job: dict[str, Any], contexts: Contexts
    ) -> None:
        """Start from a fresh image."""
        self.github, self.job = github, job
        self.permissions: Mapping[str, str] = job["permissions"]
        self.steps: dict[str, object] = {}
        self.contexts = {**contexts, "steps": self.steps}
        self.folder = github.image.folder / name.replace(" / ", "-")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.workspace = self.folder / "workspace"
        self.workspace.mkdir(parents=True)
        image = Image(self.folder, github.image.real_poetry, github.image.extra)
        image.prepare()
        self.env = image.environment() | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_EVENT_NAME": github.event,
            "GITHUB_REF": github.ref,
            "GITHUB_REF_NAME": github.ref.split("/", 2)[2],
            "GITHUB_SHA": github.sha,
        }

    def step(self, step: dict[str, Any], shared: Mapping[str, str]) -> tuple[bool, str]:
        """Run one step; return whether it succeeded, and what it said."""
        if not condition(step.get("if", "true"), self.contexts):
            return True, "skipped\n"
        if "uses" in step:
            given = step.get("with", {})
            values = {key: interpolate(text, self.contexts) for key, text in given.items()}
            action, _, commit = step["uses"].partition("@")
            if action not in ACTIONS or len(commit) != 40:
                raise Unsupported(f"action {step['uses']}")
            ACTIONS[action](self, values)
            return True, ""
        own = {key: interpolate(text, self.contexts) for key, text in step.get("env", {}).items()}
        if "${{" in step["run"]:
            raise Unsupported(f"an expression inside a script: {step['run']}")
        good, said = self.bash(step["run"], {**shared, **own})
        outputs = dict(line.split("=", 1) for line in self.take("GITHUB_OUTPUT").splitlines())
        if "id" in step:
            self.steps[step["id"]] = {"outputs": outputs}
        self.env |= dict(line.split("=", 1) for line in self.take("GITHUB_ENV").splitlines())
        for added in self.take("GITHUB_PATH").splitlines():
            self.add_path(added)
        return good, said

    def bash(self, text: str, variables: Mapping[str, str]) -> tuple[bool, str]:
        """Run a script as GitHub's `shell: bash` does."""
        script = self.folder / "step.sh"
        script.write_text(text)
        files = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.workspace,
            env={**self.env, **{name: str(self.folder / name) for name in files}, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return done.returncode == 0, done.stdout

    def take(self, name: str) -> str:
        """Return what the last step wrote into one of GitHub's files, and empty it."""
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text

    def add_path(self, folder: str) -> None:
        """Put a folder before the others on PATH."""
        self.env["PATH"] = f"{folder}:{self.env['PATH']}"

    def permit(self, **needed: str) -> None:
        """Raise Unsupported if the job's token is not allowed this."""
        for scope, level in needed.items():
            if self.permissions.get(scope.replace("_", "-")) != level:
                raise Unsupported(f"{scope}: {level} is not among {dict(self.permissions)}")


def _checkout(machine: Machine, given: dict[str, str]) -> None:
    machine.permit(contents="read")
    _inputs(given, "persist-credentials", "fetch-depth")
    if given.get("persist-credentials") != "false":
        raise Unsupported("credentials that stay in the checkout")
    origin, here = machine.github.origin.as_uri(), machine.workspace
    git(here, "init", "--quiet")
    git(here, "remote", "add", "origin", origin)
    sha = machine.github.sha
    if given.get("fetch-depth") == "0":
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        git(here, "fetch", "--quiet", "origin", *everything)
    else:
        git(here, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", sha)
    git(here, "checkout", "--quiet", "--detach", sha)


def _setup_python(machine: Machine, given: dict[str, str]) -> None:
    _inputs(given, "python-version", "python-version-file")
    file = given.get("python-version-file")
    if file and not (machine.workspace / file).exists():
        raise Unsupported(f"no {file} to read the version from")
    if not file and given["python-version"] != RUNNING:
        raise Unsupported(f"Python {given['python-version']}, while the tests run on {RUNNING}")
    folder = machine.folder / "python"
    folder.mkdir()
    for name in ("python", "python3"):
        (folder / name).symlink_to(os.path.realpath(sys.executable))
    machine.add_path(str(folder))


def _upload(machine: Machine, given: dict[str, str]) -> None:
    _inputs(given, "name", "path", "if-no-files-found")
    found = machine.workspace / given["path"]
    if not any(found.iterdir()):
        raise Unsupported("no files to upload")
    kept = machine.github.artifact(given["name"])
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(found, kept)


def _download(machine: Machine, given: dict[str, str]) -> None:
    _inputs(given, "name", "path")
    kept = machine.github.artifact(given["name"])
    shutil.copytree(kept, machine.workspace / given["path"], dirs_exist_ok=True)


def _attest(machine: Machine, given: dict[str, str]) -> None:
    _inputs(given, "subject-path")
    machine.permit(id_token="write", attestations="write")
    if not list(machine.workspace.glob(given["subject-path"])):
        raise Unsupported("nothing to attest")


def _credentials(machine: Machine, given: dict[str, str]) -> None:
    _inputs(given, "role-to-assume", "aws-region")
    machine.permit(id_token="write")
    # What the role's trust policy asks for.
    if machine.job.get("environment") != "release" or not given["role-to-assume"]:
        raise Unsupported("the role is lent to the environment release alone")
    machine.env |= {
        "AWS_REGION": given["aws-region"],
        "AWS_DEFAULT_REGION": given["aws-region"],
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_SESSION_TOKEN": "rehearsal",
    }


ACTIONS: dict[str, Callable[[Machine, dict[str, str]], None]] = {
    "actions/checkout": _checkout,
    "actions/setup-python": _setup_python,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
    "actions/attest-build-provenance": _attest,
    "aws-actions/configure-aws-credentials": _credentials,
}


def _inputs(given: Mapping[str, str], *known: str) -> None:
    if unknown := given.keys() - set(known):
        raise Unsupported(f"inputs {', '.join(unknown)}")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout
