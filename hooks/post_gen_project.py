"""Make the new project a git repository and say what to do next."""

import json
import os
import shlex
import subprocess
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from string import Template


def make_repository(folder: Path) -> str | None:
    """Make `folder` a git repository on branch main with every file added, none committed.

    A folder that is a repository already stays as it is. Returns None, or why there is no
    repository.
    """
    if (folder / ".git").exists():
        return None
    # Without the user's settings: ignore files, templates, hooks or line endings set there
    # must not decide what is added. Older git knows no GIT_CONFIG_GLOBAL, hence HOME.
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


def add_install_text(folder: Path, answers: Mapping[str, object]) -> None:
    """Put the publisher's own text on installing into the README, in the place marked for it."""
    name, index = str(answers["project_slug"]), str(answers["__index_url"])
    text = Template((folder / "s3index" / "install.md").read_text(encoding="utf-8")).substitute(
        name=name,
        team=answers["team"],
        index=index,
        constraints=f"{index}constraints.txt",
        file=f"{index}{name}/{name.replace('-', '_')}-0.1.0-py3-none-any.whl",
    )
    readme = folder / "README.md"
    marked = readme.read_text(encoding="utf-8")
    # A whole line: an answer never starts one, so none can hold the mark.
    readme.write_text(marked.replace("\n<!-- install -->\n", f"\n{text}"), encoding="utf-8")


def next_commands(folder: Path) -> list[str]:
    """Return the three commands that take the user from where they are to a first look."""
    here = os.environ.get("PWD")
    place = folder.name if here and folder.parent == Path(here).resolve() else str(folder)
    return [
        f"cd {shlex.quote(place)}",
        "poetry install",
        "poetry run python -m s3index preview",
    ]


def is_cruft_update(answers: Mapping[str, object], folder: Path) -> bool:
    """Tell whether `cruft update` renders `folder` only to compare it with another.

    cruft records `_commit`, cookiecutter does not; the update works in a folder of
    `tempfile`. A repository there would become part of the patch.
    """
    return "_commit" in answers and folder.parent.parent == Path(tempfile.gettempdir()).resolve()


def main() -> None:
    """Finish the project in the working directory, as cookiecutter starts its hooks."""
    # Percent-encoded, no answer can end the string: answers stay data.
    answers: dict[str, object] = json.loads(
        urllib.parse.unquote("{{ cookiecutter | jsonify | urlencode }}")
    )
    folder = Path.cwd()
    add_install_text(folder, answers)
    if is_cruft_update(answers, folder):
        return
    trouble = make_repository(folder)
    if trouble:
        print(f"No git repository was made ({trouble}); later: git init && git add --all")
    print(f"\n{folder.name} is ready. Next:\n")
    for command in next_commands(folder):
        print(f"    {command}")
    print()


if __name__ == "__main__":
    main()
