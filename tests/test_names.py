"""The name check at generation: a stranger's project of the same name is told of, or refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baking import TEMPLATE, config_file
from hostile import hostile


def generate(
    template: Path, folder: Path, name: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a person whose pip is configured for `index`."""
    for variable in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", index)
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input"]
    command += ["--config-file", str(config_file(folder)), "--output-dir", str(folder / "out")]
    return subprocess.run(
        [*command, f"project_slug={name}"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "better"), [("common", "acme-common"), ("acme-common", "another name")]
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
        "already; whoever installs without the README's commands gets that one. "
        f"Better: {better}"
    )
    assert (tmp_path / "out" / name / "pyproject.toml").exists()


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


def test_no_answer_is_said_and_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = generate(TEMPLATE, tmp_path, "acme-common", "http://127.0.0.1:9/simple/", monkeypatch)
    assert done.returncode == 0
    assert done.stderr == (
        "Warning: project_slug 'acme-common': not checked against PyPI, pip's index gave no "
        "answer\n"
    )
