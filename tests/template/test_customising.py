"""The commands of docs/customising.md turn a copy of the template into a fork that bakes."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.template.baking import ANSWERS, TEMPLATE, config_file, python, run

TEXT = (TEMPLATE / "docs" / "customising.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fork") / "s3-lib-template"
    ignored = shutil.ignore_patterns(".git", ".venv*", "*_cache", "__pycache__")
    shutil.copytree(TEMPLATE, folder, ignore=ignored)
    for block in BLOCKS:
        before = contents(folder)
        run(["bash", "-euc", block], folder)
        assert contents(folder) != before, f"this changes nothing:\n{block}"
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.full
def test_a_fork_asks_less(fork: Path) -> None:
    answers = json.loads((fork / "cookiecutter.json").read_text())
    asked = [key for key in answers if not key.startswith("_")]
    assert "bucket" not in asked
    assert "region" not in asked
    assert set(answers["__prompts__"]) == set(asked)


@pytest.mark.full
def test_a_fork_bakes_what_it_says(fork: Path, tmp_path: Path) -> None:
    answers = [f"python_version={ANSWERS['python_version']}", "team=shops"]
    command = python("cookiecutter", str(fork), "--no-input", *answers)
    run(command, tmp_path, {"COOKIECUTTER_CONFIG": str(config_file(tmp_path))})
    project = tmp_path / "umbra-common"
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["s3index"]
    assert settings["bucket"] == "acme-packages"
    assert settings["region"] == "eu-west-1"
    assert settings["team"] == "shops"
    # A copy without git has no known commit.
    publish = (project / "publish.py").read_text()
    assert '"s3index @ git+https://github.com/umbra/s3-lib-template@COMMIT"' in publish
    readme = (project / "README.md").read_text()
    assert "https://acme-packages.s3.eu-west-1.amazonaws.com/simple/" in readme
    assert '"""The shops of Umbra."""' in (project / "src/umbra_common/shops.py").read_text()
    assert "For use by companies of the Umbra group alone." in (project / "LICENSE").read_text()
    run(python("pytest", "-p", "no:cacheprovider"), project, {"PYTHONPATH": "src"})


@pytest.mark.full
@pytest.mark.parametrize(
    ("answer", "said"),
    [("team=devtools", "devtools"), ("_bucket=A.b", "bucket 'A.b': must have only a-z")],
)
def test_a_fork_refuses_what_it_does_not_allow(
    fork: Path, tmp_path: Path, answer: str, said: str
) -> None:
    command = python("cookiecutter", str(fork), "--no-input", answer)
    with pytest.raises(AssertionError, match=re.escape(said)):
        run(command, tmp_path, {"COOKIECUTTER_CONFIG": str(config_file(tmp_path))})
    assert not list(tmp_path.glob("umbra-*"))
