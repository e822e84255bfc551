"""How to install a published project, from one text: install.md.

The generated README has the text too (the template's hook puts it there); a terminal, the
project's page and GitHub's step summary show it, or its first commands, after a release.
"""

import re
from html import escape
from pathlib import Path
from string import Template

from s3index.config import Config

TEXT = Path(__file__).with_name("install.md")
HTML = Path(__file__).with_name("install.html")


def text(config: Config, file: str = "") -> str:
    """Return install.md for the project that `config` names, as Markdown.

    `file` is a distribution's filename, with `#sha256=…` if its digest is known; by default the
    wheel that Poetry builds of the version that `config` names.
    """
    name = config.project
    file = file or f"{name.replace('-', '_')}-{config.version}-py3-none-any.whl"
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        name=name,
        team=config.team,
        index=config.address(config.keys.team_page),
        constraints=config.address(config.keys.constraints),
        file=f"{config.address(config.keys.project_page(name))}{file}",
    )


def commands(config: Config) -> dict[str, str]:
    """Return {client: the commands that it needs first}."""
    return dict(
        re.findall(r"^### (\w+)\n\n```sh\n(.*?)\n```$", text(config), re.DOTALL | re.MULTILINE)
    )


def html(config: Config) -> str:
    """Return the commands as part of the project's page, each with a button that copies it."""
    shown = [
        f"<p>{client} <button>Copy</button></p><pre>{escape(command)}</pre>"
        for client, command in commands(config).items()
    ]
    return Template(HTML.read_text(encoding="utf-8")).substitute(commands="\n    ".join(shown))


def page_address(config: Config) -> str:
    """Return the URL of the project's page for people."""
    return config.address(config.keys.site(f"simple/{config.project}/index.html"))


def summary(config: Config, headline: str) -> str:
    """Return what GitHub's step summary shows after a release, as Markdown."""
    return f"## {headline}\n\n<{page_address(config)}>\n\n{text(config)}\n"
