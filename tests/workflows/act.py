"""Run a generated repository's workflows under nektos/act, a runner for GitHub Actions.

Steps, expressions, called workflows, outputs and the template's own action are real. Other actions
need GitHub or AWS, so actions/ has stand-ins for them. test_workflows checks what act does not:
permissions, environments, event filters and actions' inputs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import poetry_plugin_pypi_mirror

from s3index.settings import LIST
from tests.template.baking import bake, committed, pypi
from tests.world import Library

ACTIONS = Path(__file__).with_name("actions")
ACTION = "acme/s3-lib-template@" + "a" * 40
"""The action that generated workflows name; act is told that it is this template."""

ROLE = "arn:aws:iam::123456789012:role/s3index-devtools-acme-common"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def fill(
    text: str, index: str = "https://packages.acme.example/simple/", access: str = "public"
) -> str:
    """Return a workflow with a test repository's values in place of those from the hook."""
    values = {
        "PROJECT": "acme-common",
        "IMPORT": "acme_common",
        "INDEX": index,
        "REGION": "eu-central-1",
        "ACCESS": access,
    }
    for name, value in values.items():
        text = re.sub(rf"^  {name}: .*", f"  {name}: {value}", text, flags=re.MULTILINE)
    action = r"uses: (__TEMPLATE_ACTION__|\S+/s3-lib-template@.*)"
    text = re.sub(action, f"uses: {ACTION} # v1.0.0", text)
    text = re.sub(r"python: (__PYTHONS__|\[.*\])", f'python: ["{PYTHON}"]', text)
    return text.replace("__PYTHON__", PYTHON)


class Clone:
    """A maintainer's clone of a generated library, and its origin."""

    def __init__(self, library: Library, access: str = "public", baked: Path | None = None) -> None:
        """Bake the library, or use `baked`; fill in its workflows, commit, push main."""
        folder, index = library.root, library.index
        self.folder = baked or bake(
            folder,
            starter="empty",
            bucket=index.bucket,
            access=access,
            edge="https://packages.acme.example" if access == "token" else "",
        )
        self.origin = folder / "origin.git"
        for path in (self.folder / ".github" / "workflows").iterdir():
            path.write_text(fill(path.read_text(), index.address(LIST), access))
        self.git("init", "--quiet", "--bare", str(self.origin))
        self.git("remote", "add", "origin", self.origin.as_uri())
        self.commit()
        self.git("push", "--quiet", "origin", "main")

    def git(self, *arguments: str) -> None:
        """Run git in the clone, as its maintainer."""
        who = ("-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        """Commit all changes."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change the library")

    def change(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in one file; commit it."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))
        self.commit()

    def tag(self, tag: str) -> str:
        """Tag the newest commit, push it and main; return the tag's ref."""
        self.git("tag", tag)
        self.git("push", "--quiet", "origin", tag, "main")
        return f"refs/tags/{tag}"


@dataclass
class Run:
    """A run's output, and the result and duration in seconds of each job that started."""

    results: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True)
class Runner:
    """A machine with act, in a folder of its own.

    `cache` is what Poetry and mypy of several machines may share. `index` has what the action's
    locks pin, and stands in for PyPI when pip asks.
    """

    folder: Path
    cache: Path
    index: str
    variables: Mapping[str, str] = field(default_factory=lambda: {"S3INDEX_ROLE": ROLE})
    private: bool = True
    tampers: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 2

    def run(self, clone: Clone, ref: str) -> Run:
        """Run the release of a pushed tag to completion."""
        self.folder.mkdir(parents=True, exist_ok=True)
        happened = self.folder / "event.json"
        happened.write_text(json.dumps({"ref": ref, "repository": {"private": self.private}}))
        mirror = self.folder / "mirror"
        template = self.folder / "template"
        if not mirror.exists():
            _poetry_plugin(mirror)
            # Only the files on GitHub: act reads the whole folder into memory for each use.
            committed(template)
        workflows = clone.folder / ".github" / "workflows"
        # `s3index init` gives it another name.
        [release] = workflows.glob("*release.yml")
        command: list[str | Path] = [
            *(Path(sys.executable).with_name("act"), "push", "--json", "--no-skip-checkout"),
            *("--platform", "ubuntu-latest=-self-hosted", "--eventpath", happened),
            *("--action-cache-path", self.folder / "act", "--no-cache-server"),
            *("--concurrent-jobs", str(self.jobs)),
            *("--workflows", release.relative_to(clone.folder)),
            *(f"--local-repository={ACTION}={template}", "--action-offline-mode"),
        ]
        used = {
            use
            for path in workflows.glob("*.yml")
            for use in re.findall(r"uses: (\S+/(\S+)@\S+)", path.read_text())
        }
        command += [
            f"--local-repository={use}={ACTIONS / name}" for use, name in used if use != ACTION
        ]
        command += [f"--var={name}={value}" for name, value in self.variables.items()]
        command += [f"--secret={name}={value}" for name, value in self.secrets.items()]
        environment = {
            "REHEARSAL_ARTIFACTS": str(self.folder / "artifacts"),
            "REHEARSAL_ORIGIN": clone.origin.as_uri(),
            "REHEARSAL_PYTHON": os.path.realpath(sys.executable),
            "REHEARSAL_TAMPERS": "yes" if self.tampers else "",
            "AWS_ENDPOINT_URL_S3": os.environ["AWS_ENDPOINT_URL_S3"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "POETRY_CACHE_DIR": str(self.cache / "poetry"),
            "POETRY_VIRTUALENVS_PATH": str(self.folder / "environments"),
            "PIPX_HOME": str(self.folder / "pipx"),
            "PIPX_BIN_DIR": str(self.folder / "bin"),
            "POETRY_PYPI_MIRROR_URL": pypi(),
            "MYPY_CACHE_DIR": str(self.cache / "mypy"),
            "PYTHONPATH": str(mirror),
            # act gives steps a terminal, which GitHub does not.
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        command += [f"--env={name}={value}" for name, value in environment.items()]
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
            if name in os.environ
        }
        done = subprocess.run(
            command,
            cwd=clone.folder,
            env=kept | {"HOME": str(self.folder), "PATH": f"{self.folder / 'bin'}:{kept['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return _read(done.stdout)


def _poetry_plugin(folder: Path) -> None:
    """Copy Poetry's plugin for mirrors of PyPI to a folder where every Python finds it."""
    source = Path(poetry_plugin_pypi_mirror.__file__).parent
    for path in source.parent.glob("poetry_plugin_pypi_mirror*"):
        shutil.copytree(path, folder / path.name)


def _read(output: str) -> Run:
    run = Run()
    started: dict[str, datetime] = {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            run.log += f"{line}\n"
            continue
        # act pads the names of called jobs and puts both workflows' names before them.
        job, now = entry.get("job", "").rpartition("/")[2].strip(), entry.get("time")
        if job and now:
            now = datetime.fromisoformat(now)
            run.seconds[job] = (now - started.setdefault(job, now)).total_seconds()
        if "jobResult" in entry:
            run.results[job] = entry["jobResult"]
        # click writes colours to any terminal, and they would split sentences.
        said = re.sub(r"\x1b\[[0-9;]*m", "", entry["msg"]).rstrip()
        run.log += f"{entry.get('job', 'act')}: {said}\n"
    return run
