"""docs/examples/update_libraries.py opens pull requests, with real git and cruft.

gh, which needs GitHub, is a stand-in of a few lines.
"""

import json
import sys
from pathlib import Path

import pytest

from tests.template.baking import ANSWERS, TEMPLATE, committed, config_file, python, run

pytestmark = pytest.mark.full

GH = """#!/bin/sh
# Stands for GitHub's command line: repositories are folders, and pull requests a file.
case "$1 $2" in
    "repo list") ls "$REMOTES" ;;
    "repo clone") git clone --quiet "$REMOTES/$3" "$4" ;;
    "pr create") shift 2; printf '%s\\n' "$(git remote get-url origin) $*" >> "$PULL_REQUESTS" ;;
esac
"""
WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Developer Tools"), ("EMAIL", "devtools@example.com"))
}
ASKED = "CONTRIBUTING.md"


def test_each_library_gets_a_pull_request(tmp_path: Path) -> None:
    template = committed(tmp_path / "template")
    remotes, opened = tmp_path / "remotes", tmp_path / "opened"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    settings = WHO | {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "COOKIECUTTER_CONFIG": str(config_file(tmp_path)),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "HOME": str(tmp_path),
        "REMOTES": str(remotes),
        "PULL_REQUESTS": str(opened),
    }

    def git(folder: Path, *arguments: str) -> str:
        return run(["git", *arguments], folder, settings)

    def library(name: str, contributing: str = "") -> None:
        answers = json.dumps(ANSWERS | {"project_slug": name, "package_name": "acme_x"})
        create = python("cruft", "create", str(template), "--no-input", "--extra-context", answers)
        run(create, tmp_path, settings)
        if contributing:
            (tmp_path / name / ASKED).write_text(contributing)
        git(tmp_path / name, "add", "--all")
        git(tmp_path / name, "commit", "--quiet", "--message", "Start")
        git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / name), str(remotes / name))

    library("acme-plain")
    library("acme-meets", contributing="Ask us in the hallway.\n")
    git(tmp_path, "init", "--quiet", str(tmp_path / "other"))
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "--message", "Start")
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "other"), str(remotes / "other"))
    text = template / "{{cookiecutter.project_slug}}" / ASKED
    text.write_text(text.read_text().replace("Send changes as", "Please send changes as"))
    git(template, "commit", "--quiet", "--all", "--message", "Say it better")
    git(template, "tag", "v1.1.0")

    def update() -> list[str]:
        script = TEMPLATE / "docs" / "examples" / "update_libraries.py"
        return run([sys.executable, script, "acme", "v1.1.0"], tmp_path, settings).splitlines()

    said = update()
    assert said == [
        f"acme-meets: to be merged by hand: {ASKED}",
        "acme-plain: pull request opened",
        "other: not made with cruft, left as it is",
    ]
    branch = git(remotes / "acme-plain", "show", f"template-v1.1.0:{ASKED}")
    assert "Please send changes as" in branch
    meets, plain = [line for line in opened.read_text().splitlines() if " --head " in line]
    assert "acme-plain --head template-v1.1.0 --title Update from the template to v1.1.0" in plain
    assert "--draft" not in plain
    assert "acme-meets --head template-v1.1.0" in meets
    assert opened.read_text().count("--draft") == 1
    assert update()[:2] == [
        "acme-meets: has the branch template-v1.1.0 already",
        "acme-plain: has the branch template-v1.1.0 already",
    ]
