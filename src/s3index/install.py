"""The commands that install a published project.

The project's page, the terminal and GitHub's step summary show them after a release; the generated
README gets them from the template, and docs/consumers.md says what each protects against.
"""

from s3index.settings import Index

EDGE = (
    "One index for every client, instead of PyPI's. It serves the organisation's projects, and "
    "PyPI's for all other names: a stranger's project cannot replace one of the organisation's."
)
"""The explanation of the commands if there is an edge."""


def commands(url: str, bucket: str, project: str, *, edge: bool = False) -> dict[str, str]:
    """Return {client: the commands that install a project}.

    `url` is the bucket's address for readers, `edge` whether it also serves PyPI; uv and Poetry
    name the index after the bucket.
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


def markdown(index: Index, project: str) -> str:
    """Return the commands that install a project as Markdown, each under a third-level heading."""
    shown = [f"{EDGE}\n"] if index.edge else []
    shown += [
        f"### {client}\n\n```sh\n{command}\n```\n"
        for client, command in commands(index.url, index.bucket, project, edge=index.edge).items()
    ]
    return "\n".join(shown)
