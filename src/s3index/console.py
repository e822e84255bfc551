"""What the commands show: progress, what was done or is wrong, and what to do next."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from s3index import install
from s3index.access import Publisher, ask_github
from s3index.config import Config, Refused
from s3index.names import taken, warning
from s3index.release import Distribution

if TYPE_CHECKING:
    from s3index.bucket import Uploaded


@contextmanager
def refusals() -> Iterator[None]:
    """Say what is wrong in a line or two instead of a traceback, and exit with 1."""
    try:
        yield
    except Refused as refusal:
        typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(str(refusal), err=True)
        raise typer.Exit(1) from None


@contextmanager
def upload_progress(found: Sequence[Distribution]) -> "Iterator[Uploaded | None]":
    """Show a bar on a terminal while files go out; yields what is told of each part sent."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {file.path: progress.add_task(file.filename, total=file.size) for file in found}
        yield lambda path, count: progress.advance(tasks[path], count)


def released(config: Config, found: Sequence[Distribution], *, new: bool) -> None:
    """Say what a publish did, on the terminal and in GitHub's step summary."""
    said = "Published" if new else "Already published, nothing was changed:"
    headline = f"{said} {config.project} {config.version}"
    typer.echo(f"{headline} ({len(found)} files).")
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        with Path(step_summary).open("a", encoding="utf-8") as file:
            file.write(install.summary(config, headline))


def warn_of_name(config: Config) -> None:
    """Tell who has just released a project for the first time if a stranger has its name."""
    said = warning(config.project, taken(config.project, config.address(config.keys.team_page)))
    if said:
        typer.secho("Warning: ", fg="yellow", bold=True, nl=False, err=True)
        typer.echo(said, err=True)


def show_plan(config: Config, found: Sequence[Distribution]) -> None:
    """Print every key that a publish would write."""
    from s3index import site

    keys = config.keys
    typer.echo(f"Would create in s3://{config.bucket}:")
    for file in found:
        key = keys.file(config.project, file.filename)
        typer.echo(f"  {key}  ({file.size} bytes, SHA-256 {file.sha256})")
        if file.metadata is not None:
            typer.echo(f"  {key}.metadata  ({len(file.metadata)} bytes)")
    typer.echo("and bring up to date:")
    pages = keys.project_page(config.project), keys.team_page
    for key in (*pages, *site.project_keys(keys, config.project), *site.team_keys(keys)):
        typer.echo(f"  {key}")


def how_to_install(config: Config, *, open_page: bool) -> None:
    """Print the project's page and the first commands of each client; open the page if asked."""
    page = install.page_address(config)
    typer.echo(f"\nIts page: {page}\n")
    for client, command in install.commands(config).items():
        typer.echo(f"Install it with {client}:")
        for line in command.splitlines():
            typer.echo(f"    {line}")
    if open_page:
        typer.launch(page)


def until_interrupted() -> None:
    """Wait for Ctrl-C."""
    typer.echo("\nServing until Ctrl-C.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        typer.echo("Stopped; nothing is left behind.")


def verified(config: Config, findings: Sequence[str]) -> None:
    """Print what verify found, and exit with 1 if it found anything."""
    for finding in findings:
        typer.echo(finding)
    if findings:
        count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
        typer.echo(f"{count}. `python -m s3index repair` rebuilds the pages.")
        raise typer.Exit(1)
    typer.echo(f"The index of {config.team} is what the bucket holds.")


def left_on_github(publisher: Publisher, role: str) -> None:
    """Print the role's ARN and, as commands, the settings that only GitHub can make."""
    repository = publisher.repository
    environment = f"repos/{repository}/environments/release"
    typer.echo(
        f"\nThe publisher's role: {role}\n\n"
        f"Left to do on GitHub, once, as an administrator of {repository}:\n\n"
        f"    gh api -X PUT {environment} -F 'deployment_branch_policy[protected_branches]=false' "
        "-F 'deployment_branch_policy[custom_branch_policies]=true'\n"
        f"    gh api -X POST {environment}/deployment-branch-policies -f 'name=v*' -f type=tag\n"
        f"    gh variable set S3INDEX_ROLE --env release --repo {repository} --body {role}"
    )
    if not publisher.has_ids:
        typer.echo(
            f"\nThe role trusts tokens of {publisher.subject}. GitHub puts numbers into those of "
            "every repository that was made,\nrenamed or moved since 15 July 2026. For such a one, "
            'write what this prints as github_subject = "…" into\n[tool.s3index], and run this '
            f"again:\n\n    {ask_github(repository)}"
        )
