"""The commands that install a published project.

The project's page, a terminal and GitHub's step summary show them after a release; the generated
README has them through the template, and docs/consumers.md says what each of them holds against.
"""

from html import escape
from pathlib import Path
from string import Template

HTML = Path(__file__).with_name("install.html")


def commands(url: str, bucket: str, project: str) -> dict[str, str]:
    """Return {client: the commands that install a project}.

    `url` is the bucket's public URL; uv and Poetry call the index by the bucket's name.
    """
    index = f"{url}/simple/"
    return {
        "pip": f"pip install -c {index}constraints.txt {project}",
        "uv": f"uv add --index {bucket}={index} {project}",
        "Poetry": f"poetry source add --priority=primary {bucket} {index}\n"
        "poetry source add --priority=supplemental PyPI\n"
        f"poetry add --source {bucket} {project}",
    }


def html(url: str, bucket: str, project: str) -> str:
    """Return the commands as part of the project's page, each with a button that copies it."""
    shown = [
        f"<p>{client} <button>Copy</button></p><pre>{escape(command)}</pre>"
        for client, command in commands(url, bucket, project).items()
    ]
    return Template(HTML.read_text(encoding="utf-8")).substitute(commands="\n    ".join(shown))


def summary(headline: str, page_address: str, url: str, bucket: str, project: str) -> str:
    """Return what GitHub's step summary shows after a release, as Markdown.

    `page_address` is the URL of the project's page for people.
    """
    return f"## {headline}\n\n<{page_address}>\n\n{markdown(url, bucket, project)}"


def markdown(url: str, bucket: str, project: str) -> str:
    """Return the commands in Markdown, each below a heading of the third level."""
    shown = commands(url, bucket, project).items()
    return "\n".join(f"### {client}\n\n```sh\n{command}\n```\n" for client, command in shown)
