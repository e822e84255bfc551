"""The hooks work as rendered scripts, as cookiecutter runs them, but in this process.

In this process, coverage sees which of their lines run. test_hooks shows that cookiecutter runs
them like this.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cookiecutter.environment import StrictEnvironment
from jinja2 import Environment

from hooks import answers, post_gen_project
from tests.template.baking import ANSWERS, TEMPLATE

Hook = Callable[..., int]
EXTENSION = "hooks.answers.Answers"


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """Return a function that runs a hook in tmp_path/acme-common and returns its exit status."""
    project = tmp_path / "acme-common"
    project.mkdir()
    monkeypatch.chdir(project)

    # The parent's folder, where the tests were started, must not be taken for the template's.
    monkeypatch.setattr(os, "getppid", lambda: 0)

    def run(name: str, **answers: object) -> int:
        path = TEMPLATE / "hooks" / f"{name}.py"
        context: Mapping[str, object] = {
            **ANSWERS,
            "_extensions": [EXTENSION],
            "_output_dir": str(tmp_path),
            **answers,
        }
        environment = StrictEnvironment(context={"cookiecutter": context})
        try:
            text = environment.from_string(path.read_text()).render(cookiecutter=context)
            exec(compile(text, str(path), "exec"), {"__name__": "__main__"})
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def test_good_answers_pass_in_silence(hook: Hook, capsys: pytest.CaptureFixture[str]) -> None:
    assert hook("pre_gen_project") == 0
    assert capsys.readouterr() == ("", "")


def test_bad_answers_are_told(
    hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    created = tmp_path / "a" / "b"
    created.mkdir(parents=True)
    assert hook("pre_gen_project", project_slug="a/b") == 1
    assert capsys.readouterr().err == (
        "project_slug 'a/b': must be a normalised project name: a-z and 0-9, single hyphens "
        "between them\n"
    )
    assert not created.exists()


@pytest.mark.parametrize(
    ("taken", "refuse", "said"),
    [
        (True, False, "Warning: project_slug 'acme-common': the index that pip uses has"),
        (True, True, "project_slug 'acme-common': the index that pip uses has"),
        (None, True, "Warning: project_slug 'acme-common': not checked against PyPI"),
        (False, True, ""),
    ],
)
def test_a_name_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], taken: bool | None, refuse: bool, said: str,
) -> None:  # fmt: skip
    pip = tmp_path / "pip"
    unknown = "echo Getting page x; echo ': 404 Client Error'; exit 1"
    answer = {True: "exit 0", False: unknown, None: "exit 1"}[taken]
    pip.write_text(f"#!/bin/sh\n{answer}\n")
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("sys.argv", ["/bin/cookiecutter", "gh:acme/s3-lib-template", "team=X"])
    given = {**ANSWERS, "_require_unused_name": refuse}
    environment = StrictEnvironment(context={"cookiecutter": {"_extensions": [EXTENSION]}})
    template = environment.from_string("{{ cookiecutter | checked }}")
    if taken and refuse:
        with pytest.raises(SystemExit) as stop:
            template.render(cookiecutter=given)
        assert stop.value.code == 1
    else:
        assert template.render(cookiecutter=given) == "yes"
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert bool(shown) == bool(said)
    again = "cookiecutter gh:acme/s3-lib-template organization=Acme"
    assert (again in shown) == bool(taken and refuse)
    assert "team=X" not in shown


def test_a_replay_that_lacks_nothing_but_the_check_is_the_hooks() -> None:
    assert answers.checked(Environment(), {"_require_unused_name": True}) == ""


def test_pip_that_cannot_be_run_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/no/such/pip")
    assert answers.name_taken("acme-common") is None


def test_a_project_is_finished(
    hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "acme-common"
    written(project)
    template = tmp_path / "template"
    template.mkdir()
    (template / "cookiecutter.json").touch()
    assert hook("post_gen_project", _template=str(template), _repo_dir=str(template)) == 0
    assert (project / "publish.py").read_text() == f"# s3index @ {template.as_uri()}\n"
    workflow = project / ".github" / "workflows" / "ci.yml"
    assert workflow.read_text() == "uses: acme/s3-lib-template@COMMIT\n"
    assert (project / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    said = capsys.readouterr().out
    assert said.startswith("\nacme-common is ready. Next:\n")
    assert "    poetry run pytest\n" in said
    assert "\nNote: publish.py installs the publisher from file:///" in said


def written(project: Path) -> None:
    project.mkdir(parents=True, exist_ok=True)
    (project / "publish.py").write_text("# __TEMPLATE_REQUIREMENT__\n")
    workflows = project / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "ci.yml").write_text("uses: __TEMPLATE_ACTION__\n")


@pytest.mark.parametrize(
    ("git", "said"),
    [(None, "git is not installed"), ("echo no space left >&2; exit 1", "git init --quiet failed")],
)
def test_without_git_the_project_is_whole_and_says_what_to_do(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], git: str | None, said: str,
) -> None:  # fmt: skip
    written(tmp_path / "acme-common")
    (tmp_path / "bin").mkdir()
    if git:
        (tmp_path / "bin" / "git").write_text(f"#!/bin/sh\n{git}\n")
        (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert hook("post_gen_project") == 0
    assert capsys.readouterr().out.startswith(f"No git repository was created ({said}")


@pytest.mark.parametrize(("folder", "ready"), [("tmpa1_bcdef", False), ("work", True)])
def test_cruft_renders_for_an_update_without_a_repository(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], folder: str, ready: bool,
) -> None:  # fmt: skip
    """A project that somebody creates in the folder for temporary files gets one."""
    project = tmp_path / folder / "acme-common"
    written(project)
    monkeypatch.chdir(project)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert hook("post_gen_project", _commit="0" * 40) == 0
    assert (project / ".git").exists() == ready
    assert ("is ready. Next:" in capsys.readouterr().out) == ready


@pytest.mark.parametrize(
    ("python", "noted"), [("3.10", False), ("3.14", sys.version_info < (3, 14))]
)
def test_an_older_python_is_noted(
    hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str], python: str, noted: bool
) -> None:
    written(tmp_path / "acme-common")
    assert hook("post_gen_project", python_version=python) == 0
    said = f"Note: The library needs Python {python} or newer, but this is Python 3."
    assert (said in capsys.readouterr().out) == noted


def test_an_existing_repository_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert post_gen_project.make_repository(tmp_path) is None
    assert list((tmp_path / ".git").iterdir()) == []
