"""Generation and the first release warn of a stranger's project with the same name.

A server on loopback stands in for PyPI, so tests decide which names it has. The real pip asks it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hooks import answers
from s3index import names
from tests.clients.hostile import hostile
from tests.commands import STUBS, repository, s3index
from tests.distributions import wheel
from tests.protocol.standin import Answer, standing_in
from tests.template.baking import TEMPLATE, config_file
from tests.world import Library, at

DEAD = "http://127.0.0.1:9/simple/"


def pip_asks(index: str, monkeypatch: pytest.MonkeyPatch, extra: str = "") -> None:
    """Configure pip to use only `index` and, if given, `extra`."""
    for variable in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", index)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", extra)


def generate(
    template: Path, folder: Path, name: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter for a person whose pip is configured for `index`."""
    pip_asks(index, monkeypatch)
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input"]
    command += ["--config-file", str(config_file(folder)), "--output-dir", str(folder / "out")]
    return subprocess.run(
        [*command, f"project_slug={name}"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("common", "acme-common"),
        pytest.param("acme-common", "another name", marks=pytest.mark.full),
    ],
)
def test_a_taken_name_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, better: str
) -> None:
    with hostile(tmp_path, name) as stranger:
        done = generate(TEMPLATE, tmp_path, name, stranger.url, monkeypatch)
        assert stranger.asked == [f"/simple/{name}/"]
        stranger.silent()
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        f"Warning: project_slug {name!r}: the index that pip uses has a project of this name "
        "already; installing without the README's commands gets that one. "
        f"Better: {better}"
    )
    assert (tmp_path / "out" / name / "pyproject.toml").exists()


@pytest.mark.full
def test_a_fork_can_refuse_a_taken_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fork = tmp_path / "fork"
    ignored = shutil.ignore_patterns(".git", ".venv*", "*_cache", "artefacts", "tests")
    shutil.copytree(TEMPLATE, fork, ignore=ignored)
    settings = json.loads((fork / "cookiecutter.json").read_text())
    (fork / "cookiecutter.json").write_text(json.dumps({**settings, "_require_unused_name": True}))
    with hostile(tmp_path, "acme-common") as stranger:
        refused = generate(fork, tmp_path, "acme-common", stranger.url, monkeypatch)
        assert refused.returncode != 0
        assert refused.stderr.startswith("project_slug 'acme-common': the index that pip uses has")
        assert not (tmp_path / "out" / "acme-common").exists()
        unused = generate(fork, tmp_path, "acme-orders", stranger.url, monkeypatch)
        assert (unused.returncode, unused.stderr) == (0, "")


@pytest.mark.full
def test_no_answer_is_said_and_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = generate(TEMPLATE, tmp_path, "acme-common", DEAD, monkeypatch)
    assert done.returncode == 0
    assert done.stderr == (
        "Warning: project_slug 'acme-common': not checked against PyPI, pip's index gave no "
        "answer\n"
    )


def publish(library: Library, folder: Path, version: str) -> str:
    """Release a version with the command line; return its stderr."""
    root = repository(at(library, version), folder / version)
    made = wheel(root, library.name, version)
    # Use the real pip, not the one in STUBS.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return s3index(root, "publish", made, env={"PATH": path})


def test_a_first_release_is_told_of_a_taken_name(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hostile(tmp_path, "acme-common") as stranger:
        pip_asks(stranger.url, monkeypatch)
        assert publish(library, tmp_path, "0.1.0") == (
            "Warning: the index that pip uses also has a project acme-common. "
            "Installing without the commands above gets that one.\nRename yours while nobody "
            "depends on it: in pyproject.toml, put your organisation in front of its name.\n"
        )
        assert stranger.asked == ["/simple/acme-common/"]
        assert publish(library, tmp_path, "0.1.0") == ""
        assert publish(library, tmp_path, "0.2.0") == ""
        assert stranger.asked == ["/simple/acme-common/"]
        stranger.silent()


@pytest.mark.full
def test_our_own_index_is_no_stranger(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = library.index.address("simple/")
    with hostile(tmp_path, "acme-orders") as other:
        pip_asks(other.url, monkeypatch, index)
        assert publish(library, tmp_path, "0.1.0") == ""
        assert other.asked == ["/simple/acme-common/"]
    with hostile(tmp_path, "acme-common") as stranger:
        pip_asks(stranger.url, monkeypatch, index)
        assert names.taken("acme-common", library.index.url)


def test_a_first_release_goes_on_without_an_answer(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_asks(DEAD, monkeypatch)
    assert publish(library, tmp_path, "0.1.0") == (
        "Warning: acme-common was not checked against PyPI: pip's index gave no answer.\n"
    )


def page(link: str) -> Answer:
    """Return a project page (PEP 503) with one link, or none."""
    return Answer(200, {"Content-Type": "text/html"}, link.encode())


INDEXES = {
    "a project": (page('<a href="acme_common-1.tar.gz">1</a>'), True),
    "none for this Python": (
        page('<a href="acme_common-1.tar.gz" data-requires-python="&lt;3">1</a>'),
        True,
    ),
    "an empty page": (page(""), True),
    "unknown": (Answer(404), False),
    "forbidden": (Answer(403), None),
    "broken": (Answer(500), None),
    "hangs up": (Answer(0), None),
}


SLOW = ("none for this Python", "an empty page", "forbidden", "hangs up", "broken", "unknown")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.full] if case in SLOW else []) for case in INDEXES],
)
def test_hook_and_publisher_give_the_same_answer(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, found = INDEXES[case]
    with standing_in(lambda _: answer, "") as index:
        pip_asks(f"{index.url}/simple/", monkeypatch)
        assert answers.name_taken("acme-common") is found
        assert names.taken("acme-common", "https://ours.example.com/") is found


@pytest.mark.parametrize("pip", ["", "exit 3", "sleep 60"])
def test_the_publisher_goes_on_without_a_pip(
    pip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "PATIENCE", 0.5)
    (tmp_path / "pip").write_text(f"#!/bin/sh\n{pip}\n" if pip else "no program")
    (tmp_path / "pip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert names.taken("acme-common", "https://ours.example.com/") is None


def test_the_pip_that_other_tests_have_knows_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{STUBS}:{os.environ['PATH']}")
    assert names.taken("acme-common", "https://ours.example.com/") is False
