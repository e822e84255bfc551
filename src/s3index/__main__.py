"""The command line: `s3index`, run from the repository's root."""

import atexit
import gc
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from urllib.parse import urlsplit

import typer
from packaging.version import Version
from typer.core import TyperGroup

from s3index import __version__, build, install, output
from s3index.claims import Claim, new_claim
from s3index.distribution import Distribution, read_old, read_release
from s3index.errors import Denied, Refused, shown
from s3index.pages import LONGEST_TEXT, line
from s3index.settings import Index, Project, load, read
from s3index.settings import project as project_of
from s3index.token_commands import app as tokens

if TYPE_CHECKING:
    from s3index.init import Change
    from s3index.publish import Known, Outcome
    from s3index.s3 import Bucket, Opener


class _Commands(TyperGroup):
    """All commands; a refusal by any of them ends the run with a message."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command in `ctx`."""
        with output.refusals():
            return super().invoke(ctx)


app = typer.Typer(
    name="s3index",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(tokens, name="token")

ROOT = Path()

Open = Annotated[bool, typer.Option("--open", help="Open the project's page in the browser.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show each request to S3.")]


def _version(text: str) -> Version:
    try:
        return Version(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r:.200} is not a version such as 0.1.0.") from None


def _reason(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise typer.BadParameter(f"it has {len(text)} characters; {LONGEST_TEXT} are allowed.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{text!r} is not valid Unicode.") from None
    return line(text) or ""


OldFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILES", exists=True, dir_okay=False, help="Wheels and sdists, of any version."
    ),
]
Released = Annotated[
    Version, typer.Argument(metavar="VERSION", parser=_version, help="A released version.")
]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"s3index {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Publish this repository's library to its team's package index in an S3 bucket."""


@app.command(epilog="Example: s3index publish --dry-run")
def publish(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Built files, such as dist/*. Default: build them."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written; write nothing.")
    ] = False,
    open_page: Open = False,
    verbose: Verbose = False,
) -> None:
    """Publish the project's version: upload the wheel and sdist, and list them.

    A release never changes. Safe to run again: it finishes an interrupted publish.
    """
    index, project = load(ROOT)
    with _release(project, files) as (found, claim):
        if dry_run:
            _plan(index, found, claim, verbose=verbose)
            return
        outcome = _publish(index, found, claim, verbose=verbose)
    output.how_to_install(index, project, open_page=open_page)
    if outcome is outcome.FIRST:
        output.warn_of_name(index, project)


@app.command(
    "import", epilog="Example: s3index import --from https://packages.acme.example/simple/"
)
def import_releases(
    files: OldFiles = None,
    url: Annotated[
        str,
        typer.Option(
            "--from", metavar="URL", help="Import the project's releases from this index."
        ),
    ] = "",
    skip_unusable: Annotated[
        bool, typer.Option("--skip-unusable", help="Skip files that no installer can use.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Import old releases of this project, from files or from another index.

    Imports all of them or none. Safe to run again: it finishes an interrupted import.
    """
    if bool(files) == bool(url):
        raise typer.BadParameter("give either files or an index with --from.")
    with tempfile.TemporaryDirectory() as folder:
        index, project = load(ROOT)
        if url:
            paths, known, refused = _download(url, project.name, Path(folder))
        else:
            paths, known, refused = list(files or ()), {}, []
        releases, unusable = read_old(paths, project.name)
        refused += unusable
        if refused and not skip_unusable:
            lines = "\n".join(f"  {line}" for line in refused)
            raise Refused(
                f"Nothing was imported. These files cannot be imported:\n{lines}\n"
                "To skip files that no installer can use, add --skip-unusable."
            )
        for line in refused:
            typer.echo(f"Skipped: {shown(line)}")
        if not releases:
            raise Refused(f"No releases of {project.name} to import.")
        host = urlsplit(url).netloc.rpartition("@")[2]
        outcome = _import(index, project, releases, known, host, verbose=verbose)
        if outcome is outcome.FIRST:
            output.warn_of_name(index, project)


@app.command(epilog="Example: s3index yank 0.2.0 --reason 'loses records'")
def yank(
    version: Released,
    reason: Annotated[
        str, typer.Option(parser=_reason, help="The reason that pip and uv show.")
    ] = "",
    verbose: Verbose = False,
) -> None:
    """Yank a version (PEP 592): installers skip it unless it is pinned exactly.

    Its files stay in place: lock files that name them keep working.
    """
    _mark(version, reason or True, verbose=verbose)


@app.command(epilog="Example: s3index unyank 0.2.0")
def unyank(version: Released, verbose: Verbose = False) -> None:
    """Undo a yank: installers choose the version again."""
    _mark(version, False, verbose=verbose)


@app.command(epilog="Example: s3index verify --deep")
def verify(
    deep: Annotated[
        bool, typer.Option("--deep", help="Download every file instead of asking for its digest.")
    ] = False,
    only: Annotated[
        bool, typer.Option("--project", help="Verify only this repository's project.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Compare the team's index with the bucket; exit with 1 if they differ.

    Prints a line for each difference and changes nothing.
    """
    index, project = load(ROOT)
    _verify(index, project.name if only else None, deep=deep, verbose=verbose)


@app.command(epilog="Example: s3index repair --verbose")
def repair(verbose: Verbose = False) -> None:
    """Rebuild the team's index from the claims and files in the bucket, then verify it.

    Needs administrator rights on the bucket. Keeps the yanks that any page still has.
    """
    from s3index.repair import repair as protocol

    index, _ = load(ROOT)
    left = _bucket(index, verbose=verbose).run(protocol(index))
    for problem in left:
        typer.echo(shown(problem))
    typer.echo(f"Rebuilt the index of {index.team}{', except for the above' if left else ''}.")
    _verify(index, None, deep=False, verbose=verbose)
    if left:
        raise typer.Exit(1)


@app.command(epilog="Example: s3index provision --dry-run")
def provision(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    bucket_only: Annotated[
        bool, typer.Option("--bucket-only", help="Set up only the bucket.")
    ] = False,
    role_only: Annotated[bool, typer.Option("--role-only", help="Set up only the role.")] = False,
) -> None:
    """Create or update the bucket and the publishing role, as an administrator.

    Prints whether each setting was created, changed or unchanged, and the steps left to do.
    """
    from s3index import access
    from s3index.provision import provision_bucket, provision_role

    if bucket_only and role_only:
        raise typer.BadParameter("use either --bucket-only or --role-only.")
    index, project = load(ROOT)
    # Read all settings before the first request, so that nothing is left half done.
    readers = None if role_only else access.readers(project)
    publisher = None if bucket_only else access.publisher(project)
    if readers:
        if readers.access == "public" and access.is_proprietary(project):
            output.warn_of_readers()
        provision_bucket(index, readers, typer.echo, dry_run=dry_run)
    if publisher:
        role = provision_role(index, project.name, publisher, typer.echo, dry_run=dry_run)
        output.left_on_github(publisher, role)


@app.command(epilog="Example: s3index init --team data --bucket acme-packages --dry-run")
def init(
    team: Annotated[str, typer.Option(help="Team, the prefix of its files in the bucket.")] = "",
    bucket: Annotated[str, typer.Option(help="S3 bucket of the index.")] = "",
    region: Annotated[str, typer.Option(help="AWS region of the bucket.")] = "",
    access: Annotated[str, typer.Option(help="Who may install: network, token or public.")] = "",
    edge: Annotated[str, typer.Option(help="Address of the edge, if there is one.")] = "",
    repository: Annotated[str, typer.Option(help="GitHub repository, as owner/name.")] = "",
    template: Annotated[
        str, typer.Option(metavar="URL@COMMIT", help="Where to install s3index from.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes; write nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Write every change without asking.")
    ] = False,
) -> None:
    """Set up an existing repository to publish to the index.

    Adds what is missing: settings, publish.py, workflows, install instructions.
    Shows each change before it writes it, and overwrites nothing.
    """
    with _needed_by("init", "init"):
        from s3index import init as initial
    project = project_of(ROOT, read(ROOT))
    said = {"team": team, "bucket": bucket, "region": region, "access": access, "edge": edge}
    known = initial.known(ROOT)
    repository = repository or known.get("repository", "")
    answers = initial.ask({**said, **known, "repository": repository}, yes=yes)
    changes, notes = initial.changes(project, answers, template)
    if not changes:
        typer.echo("Nothing to add.")
        return
    for change in changes:
        output.diff(change.diff)
        if not dry_run:
            _write(change, yes=yes)
    for note in notes:
        typer.echo(f"Note: {shown(note)}")


@app.command(epilog="Example: s3index preview --open")
def preview(open_page: Open = False, verbose: Verbose = False) -> None:
    """Publish to an S3 server on this machine and serve the index until Ctrl-C.

    Needs no AWS account and leaves nothing behind. Requires moto: the extra `preview`.
    """
    with _needed_by("preview", "preview"):
        from s3index.preview import embedded
    with embedded(ROOT) as (index, project):
        with _release(project, None) as (found, claim):
            _publish(index, found, claim, verbose=verbose)
        output.how_to_install(index, project, open_page=open_page)
        output.until_interrupted()


@app.command("check-tag", epilog='Example: s3index check-tag "$GITHUB_REF" dist/*')
def check_tag(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Such as refs/tags/v0.1.0.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Built files, needed if the version is dynamic."),
    ] = None,
    branch: Annotated[str, typer.Option(help="The branch that releases are made from.")] = "main",
) -> None:
    """Check that a tag may be released. The release workflow runs this after the build."""
    from s3index.tag import refuse_tag

    _, project = load(ROOT)
    refuse_tag(project, ref, files or (), branch)
    typer.echo(f"{ref.removeprefix('refs/tags/')} may be released.")


@contextmanager
def _needed_by(what: str, extra: str) -> Iterator[None]:
    """Raise Refused in place of ModuleNotFoundError, with the command that installs the extra."""
    try:
        yield
    except ModuleNotFoundError as missing:
        name = str(missing.name).partition(".")[0]
        raise Refused(
            f"{what} needs {name}, which is not installed. This installs an s3index with it: "
            f"{install.with_extra(extra)}"
        ) from None


def _write(change: "Change", *, yes: bool) -> None:
    """Write a change unless the user declines; raise Refused if the other changes need it."""
    if yes or typer.confirm(f"Write {change.path}?", default=True):
        change.write()
    elif change.path.name == "pyproject.toml":
        raise Refused(
            "Nothing was written: the other files need the settings in pyproject.toml. Run it "
            "again and accept them."
        )


@contextmanager
def _release(
    project: Project, files: list[Path] | None
) -> Iterator[tuple[list[Distribution], Claim]]:
    """Yield the release's files (the given ones, or new builds in a temporary folder) and claim."""
    who, commit = build.uploader(project.root)
    with tempfile.TemporaryDirectory() as folder:
        if not files:
            typer.echo(f"Building {project.name} {project.version or ''}".rstrip() + ".")
            files = build.build(project.root, Path(folder))
        found = read_release(files, project.name, project.version)
        yield found, new_claim(found, datetime.now(UTC), who, commit, build.provenance())


def _publish(index: Index, found: list[Distribution], claim: Claim, *, verbose: bool) -> "Outcome":
    from s3index.publish import publish as protocol

    with output.upload_progress(found) as opener:
        outcome = _bucket(index, opener, verbose=verbose).run(protocol(found, index, claim))
    output.released(index, claim, new=bool(outcome))
    return outcome


def _download(
    url: str, project: str, folder: Path
) -> "tuple[list[Path], dict[str, Known], list[str]]":
    with _needed_by("--from", "import"):
        from s3index.origin import download
    with output.counted("Downloading") as watch:
        return download(url, project, folder, watch)


def _import(
    index: Index,
    project: Project,
    releases: list[list[Distribution]],
    known: "Mapping[str, Known]",
    host: str,
    *,
    verbose: bool,
) -> "Outcome":
    from s3index.publish import import_releases as protocol
    from s3index.publish import imported

    who, _ = build.uploader(project.root)
    now = datetime.now(UTC)
    claims = [
        (files, imported(new_claim(files, now, who, None), host, known)) for files in releases
    ]
    count = sum(len(files) for files in releases)
    with output.counted("Uploading") as watch:

        def opened(path: Path) -> BinaryIO:
            watch(count, path.name)
            return path.open("rb")

        outcome = _bucket(index, opened, verbose=verbose).run(protocol(claims, index))
    output.imported(project.name, len(releases), count, new=bool(outcome))
    return outcome


def _plan(index: Index, found: list[Distribution], claim: Claim, *, verbose: bool) -> None:
    from s3index.publish import planned, prepare

    try:
        state = _bucket(index, verbose=verbose).run(prepare(found, index, claim))
    except Denied as denied:
        typer.echo(f"The bucket was not read, only the files were checked: {shown(str(denied))}")
        state = None
    keys, derived = planned(found, index, state)
    output.plan(index, keys, derived, released=bool(state and state.released))


def _mark(version: Version, yanked: bool | str, *, verbose: bool) -> None:
    from s3index.publish import yank as protocol

    index, project = load(ROOT)
    bucket = _bucket(index, verbose=verbose)
    changed = bucket.run(protocol(index, project.name, version, yanked))
    if yanked:
        state = "is now yanked" if changed else "is already yanked"
    else:
        state = "is no longer yanked" if changed else "is not yanked"
    typer.echo(f"{project.name} {version} {state}.")


def _verify(index: Index, project: str | None, *, deep: bool, verbose: bool) -> None:
    from s3index.verify import verify as protocol

    bucket = _bucket(index, verbose=verbose)
    output.verified(bucket.run(protocol(index, deep=deep, project=project)))


def _bucket(index: Index, opener: "Opener | None" = None, *, verbose: bool = False) -> "Bucket":
    from s3index.s3 import Bucket

    trace = (lambda text: typer.echo(text, err=True)) if verbose else None
    return Bucket(index, opener, trace)


def main() -> None:
    """Run the command line."""
    # Escape characters that the terminal's encoding lacks, as on stderr.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # A run frees little of what it loads; looking for cycles in it would take a third of its time.
    gc.set_threshold(1_000_000)
    atexit.register(gc.freeze)
    app()


if __name__ == "__main__":
    main()
