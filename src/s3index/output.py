"""Print progress, results, problems and next steps for the commands."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from s3index import install
from s3index.access import Publisher, ask_github
from s3index.claims import Claim
from s3index.distribution import Distribution
from s3index.errors import Refused, shown
from s3index.names import taken, warning
from s3index.settings import Index, Project

RULESET = {
    "name": "releases",
    "target": "tag",
    "enforcement": "active",
    # 5 is the role of a repository's administrators.
    "bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}],
    "conditions": {"ref_name": {"include": ["refs/tags/v*"], "exclude": []}},
    "rules": [{"type": "creation"}, {"type": "update"}, {"type": "deletion"}],
}
"""GitHub's ruleset for release tags (REST API, repository rulesets)."""

if TYPE_CHECKING:
    from s3index.s3 import Opener
    from s3index.verify import Report


@contextmanager
def refusals() -> Iterator[None]:
    """Print a refusal's message instead of a traceback, and exit with 1."""
    try:
        yield
    except Refused as refusal:
        _report("Error", "red", str(refusal))
        raise typer.Exit(1) from None


@contextmanager
def upload_progress(found: Sequence[Distribution]) -> "Iterator[Opener | None]":
    """Show a progress bar for uploads on a terminal; yield an opener, None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {file.path: progress.add_task(file.filename, total=file.size) for file in found}
        yield lambda path: progress.open(path, "rb", task_id=tasks[path])


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on a terminal that counts files; yield a callback for each of them.

    It takes the number of files and the name of the next one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = TextColumn(f"{what} {{task.description}}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda count, name: progress.update(
            task, total=count, description=shown(name), advance=1
        )


def diff(text: str) -> None:
    """Print a unified diff in git's colours."""
    for line in text.splitlines():
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        typer.secho(shown(line), fg=colour)


def imported(project: str, releases: int, files: int, *, new: bool) -> None:
    """Print the outcome of an import, with the number of releases and of files."""
    done = "Imported" if new else "Already imported, nothing changed:"
    typer.echo(f"{done} {_count(releases, 'release')} of {project} ({_count(files, 'file')}).")


def released(index: Index, claim: Claim, *, new: bool) -> None:
    """Print the outcome of a publish, on the terminal and in GitHub's step summary.

    The summary also has the release's section of the changelog.
    """
    done = "Published" if new else "Already published, nothing changed:"
    headline = f"{done} {claim.name} {claim.version}"
    typer.echo(f"{headline} ({_count(len(claim.files), 'file')}).")
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        commands = install.markdown(index, claim.name)
        text = f"## {headline}\n\n<{index.page_address(claim.name)}>\n\n{commands}"
        if claim.changelog:
            text += f"\n### Changes\n\n{claim.changelog.text}\n"
        try:
            with Path(step_summary).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            _warn(f"the step summary was not written: {error}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def warn_of_name(index: Index, project: Project) -> None:
    """Warn, after a project's first release, if a stranger has, or may have, its name."""
    text = warning(project.name, taken(project.name, index.url))
    if text:
        _warn(text)


def warn_of_readers() -> None:
    """Warn, before a bucket is opened to everybody, that the licence is proprietary."""
    _warn(
        'access = "public" lets everybody on the internet download what is released, but the '
        "licence is proprietary. If that is not intended, set access to network or token."
    )


def _warn(text: str) -> None:
    _report("Warning", "yellow", text)


def _report(kind: str, colour: str, text: str) -> None:
    typer.secho(f"{kind}: ", fg=colour, bold=True, nl=False, err=True)
    # A line that starts with :: would be a command for GitHub's runner.
    lines = [re.sub(r"^\s*::", "  : :", shown(line)) for line in text.splitlines()]
    typer.echo("\n".join(lines), err=True)


def plan(index: Index, keys: Mapping[str, bool], derived: Sequence[str], *, released: bool) -> None:
    """Print what a publish would create, {key: whether it exists}, and what it would refresh."""
    if released:
        typer.echo("Already released: publishing would not change any file.")
        return
    typer.echo(f"Would create in s3://{index.bucket}:")
    for key, there in keys.items():
        typer.echo(f"  {key}{'  (there already)' if there else ''}")
    typer.echo("and refresh:")
    for key in derived:
        typer.echo(f"  {key}")


def how_to_install(index: Index, project: Project, *, open_page: bool) -> None:
    """Print the project's page and each client's commands; open the page if asked."""
    page = index.page_address(project.name)
    typer.echo(f"\nIts page: {page}\n")
    if index.edge:
        typer.echo(f"{install.EDGE}\n")
    commands = install.commands(index.url, index.bucket, project.name, edge=index.edge)
    for client, command in commands.items():
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


def verified(report: "Report") -> None:
    """Print verify's report, and exit with 1 if it has findings."""
    for note in report.notes:
        typer.echo(f"Note: {shown(note)}")
    for finding in report.findings:
        typer.echo(shown(finding))
    if report.findings:
        count = _count(len(report.findings), "finding")
        typer.echo(f"{count}. Run `s3index repair` as an administrator to fix what can be fixed.")
        raise typer.Exit(1)
    typer.echo("Index and bucket match.")


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
        f"    gh variable set S3INDEX_ROLE --env release --repo {repository} --body {role}\n\n"
        "A tag runs the release.yml of its own commit. To let only administrators create, move or "
        "delete tags v*:\n\n"
        f"    gh api -X POST repos/{repository}/rulesets --input - <<< '{json.dumps(RULESET)}'"
    )
    if not publisher.has_ids:
        typer.echo(
            f"\nThe role trusts tokens with the subject {publisher.subject}. If the repository was "
            "created, renamed or moved\nsince 15 July 2026, GitHub adds numbers to the subject: "
            "set github_subject in [tool.s3index] to the output of\nthis command, then run "
            f"provision again:\n\n    {ask_github(repository)}"
        )
