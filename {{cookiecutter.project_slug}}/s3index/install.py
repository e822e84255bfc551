"""The commands that install a published project, each safe against a stranger of the same name."""

from s3index.config import Config


def commands(config: Config) -> dict[str, str]:
    """Return {client: commands} for the newest release of the project that `config` names."""
    index = config.address(config.keys.team_page)
    constraints = config.address(config.keys.constraints)
    name, team = config.project, config.team
    return {
        "pip": f"pip install -c {constraints} {name}",
        "uv": f"uv pip install --index {index} {name}",
        "Poetry": f"poetry source add --priority=explicit {team} {index}\n"
        f"poetry add --source {team} {name}",
    }


def page_address(config: Config) -> str:
    """Return the URL of the project's page for people."""
    return config.address(config.keys.site(f"simple/{config.project}/index.html"))


def summary(config: Config, headline: str) -> str:
    """Return what a terminal shows after a release, as Markdown for GitHub's step summary."""
    blocks = [
        f"With {client}:\n\n```console\n{command}\n```\n"
        for client, command in commands(config).items()
    ]
    return "\n".join([f"### {headline}\n", f"<{page_address(config)}>\n", *blocks])
