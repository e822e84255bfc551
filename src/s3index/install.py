"""The commands that install a published project.

The project's page, a terminal and GitHub's step summary show them after a release; the generated
README has them through the template, and docs/consumers.md says what each of them holds against.
"""

EDGE = (
    "One index for every client, instead of PyPI's: what is not the organisation's comes from PyPI "
    "through it, so a stranger's project of one of its names cannot be installed."
)
"""What there is to say of the commands where there is an edge."""


def commands(url: str, bucket: str, project: str, *, edge: bool = False) -> dict[str, str]:
    """Return {client: the commands that install a project}.

    `url` is where readers find the bucket, `edge` whether PyPI stands behind it; uv and Poetry call
    the index by the bucket's name.
    """
    index = f"{url}/simple/"
    if edge:
        return {
            "pip": f"pip install --index-url {index} {project}",
            "uv": f"uv add --default-index {bucket}={index} {project}",
            "Poetry": f"poetry source add --priority=primary {bucket} {index}\n"
            f"poetry add {project}",
        }
    return {
        "pip": f"pip install -c {index}constraints.txt {project}",
        "uv": f"uv add --index {bucket}={index} {project}",
        "Poetry": f"poetry source add --priority=primary {bucket} {index}\n"
        "poetry source add --priority=supplemental PyPI\n"
        f"poetry add --source {bucket} {project}",
    }


def summary(
    headline: str,
    page_address: str,
    url: str,
    bucket: str,
    project: str,
    *,
    changes: str | None = None,
    edge: bool = False,
) -> str:
    """Return what GitHub's step summary shows after a release, as Markdown.

    `page_address` is the URL of the project's page for people, `changes` what the library's
    changelog says of the release.
    """
    shown = markdown(url, bucket, project, edge=edge)
    said = f"{shown}\n### Changes\n\n{changes}\n" if changes else shown
    return f"## {headline}\n\n<{page_address}>\n\n{said}"


def markdown(url: str, bucket: str, project: str, *, edge: bool = False) -> str:
    """Return the commands in Markdown, each below a heading of the third level."""
    shown = [f"{EDGE}\n"] if edge else []
    shown += [
        f"### {client}\n\n```sh\n{command}\n```\n"
        for client, command in commands(url, bucket, project, edge=edge).items()
    ]
    return "\n".join(shown)
