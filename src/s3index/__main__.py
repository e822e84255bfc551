"""The command line: `python -m s3index`, run from the repository's root."""

import atexit
import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.version import InvalidVersion, Version

from s3index import __version__, build, console, release
from s3index.config import Config, load

if TYPE_CHECKING:
    from s3index.bucket import Bucket, Uploaded
    from s3index.publish import Outcome

app = typer.Typer(
    name="s3index",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ROOT = Path()

Open = Annotated[bool, typer.Option("--open", help="Open the project's page in the browser.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show each request to S3.")]


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise typer.BadParameter(f"{text!r} is no version such as 0.1.0.") from None


Which = Annotated[
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
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the template's version."
        ),
    ] = False,
) -> None:
    """Publish this repository's library to its team's package index in an S3 bucket."""


@app.command(epilog="Example: python -m s3index publish --dry-run")
def publish(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Built files, such as dist/*. Without any, Poetry builds them."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build and show what would be written; write nothing.")
    ] = False,
    open_page: Open = False,
    verbose: Verbose = False,
) -> None:
    """Release the version in pyproject.toml: upload wheel and sdist, and list them.

    A release never changes: publishing it again does nothing, or finishes what was cut off.
    """
    with console.refusals(), _distributions(config := load(ROOT), files) as found:
        if dry_run:
            console.show_plan(config, found)
        else:
            outcome = _publish(config, found, verbose=verbose)
            console.how_to_install(config, open_page=open_page)
            if outcome is outcome.FIRST:
                console.warn_of_name(config)


@app.command(epilog="Example: python -m s3index yank 0.2.0 --reason 'loses records'")
def yank(
    version: Which,
    reason: Annotated[str, typer.Option(help="Why; shown by pip and uv.")] = "",
    verbose: Verbose = False,
) -> None:
    """Yank a version (PEP 592): installers pass it over unless it is pinned exactly.

    Its files stay where they are, for those who have it in a lock file.
    """
    _mark(version, reason or True, verbose=verbose)


@app.command(epilog="Example: python -m s3index unyank 0.2.0")
def unyank(version: Which, verbose: Verbose = False) -> None:
    """Take a yank back: installers choose the version again."""
    _mark(version, False, verbose=verbose)


@app.command(epilog="Example: python -m s3index verify --deep")
def verify(
    deep: Annotated[
        bool, typer.Option("--deep", help="Download every file instead of asking for its digest.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Compare the team's index with what is in the bucket; exit with 1 if they differ.

    Prints a line for each difference and changes nothing.
    """
    with console.refusals():
        _verify(load(ROOT), deep=deep, verbose=verbose)


@app.command(epilog="Example: python -m s3index repair --verbose")
def repair(verbose: Verbose = False) -> None:
    """Rebuild the team's index from the files in the bucket, then verify it.

    Other people may publish meanwhile. Yanks are kept where an old page still says so.
    """
    from s3index.repair import repair as protocol

    with console.refusals():
        config = load(ROOT)
        problems = _bucket(config, verbose=verbose).run(protocol(config))
        for problem in problems:
            typer.echo(problem)
        typer.echo(f"Rebuilt the index of {config.team}.")
        _verify(config, deep=False, verbose=verbose)
        if problems:
            raise typer.Exit(1)


@app.command(epilog="Example: python -m s3index provision --dry-run")
def provision(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    bucket_only: Annotated[
        bool, typer.Option("--bucket-only", help="Leave the role to somebody else.")
    ] = False,
    role_only: Annotated[
        bool, typer.Option("--role-only", help="Leave the bucket to somebody else.")
    ] = False,
) -> None:
    """Make the bucket and the role that publishes, or adjust them: once, as an administrator.

    Says of each setting whether it was created, changed or unchanged, and what is left to do.
    """
    from s3index import access
    from s3index.provision import provision_bucket, provision_role

    if bucket_only and role_only:
        raise typer.BadParameter("--bucket-only and --role-only exclude each other.")
    with console.refusals():
        config = load(ROOT)
        # All settings before the first request, so that nothing is left half done.
        readers = None if role_only else access.readers(config)
        publisher = None if bucket_only else access.publisher(config)
        if readers:
            provision_bucket(config, readers, typer.echo, dry_run=dry_run)
        if publisher:
            role = provision_role(config, publisher, typer.echo, dry_run=dry_run)
            console.left_on_github(publisher, role)


@app.command(epilog="Example: python -m s3index preview --open")
def preview(open_page: Open = False, verbose: Verbose = False) -> None:
    """Publish to an S3 server on this machine and serve the index until Ctrl-C.

    Needs no AWS account, and leaves nothing behind.
    """
    from s3index.preview import embedded

    with console.refusals(), embedded(ROOT) as config:
        with _distributions(config, None) as found:
            _publish(config, found, verbose=verbose)
        console.how_to_install(config, open_page=open_page)
        console.until_interrupted()


@app.command("check-tag", epilog="Example: s3index check-tag refs/tags/v0.1.0")
def check_tag(
    ref: Annotated[str, typer.Argument(help="A full ref, such as GitHub's GITHUB_REF.")],
) -> None:
    """Refuse REF if it must not be released: a release's workflow asks this before it builds."""
    from s3index.tag import refuse_tag

    with console.refusals():
        refuse_tag(ROOT, ref)
        typer.echo(f"{ref.removeprefix('refs/tags/')} may be released.")


@contextmanager
def _distributions(
    config: Config, files: list[Path] | None
) -> Iterator[list[release.Distribution]]:
    """Yield the release's files: those named, or what Poetry builds into a folder of its own."""
    if files:
        yield release.read_release(files, config.project, config.version)
        return
    with tempfile.TemporaryDirectory() as folder:
        typer.echo(f"Building {config.project} {config.version} with Poetry.")
        built = build.build(config.root, Path(folder))
        yield release.read_release(built, config.project, config.version)


def _publish(config: Config, found: list[release.Distribution], *, verbose: bool) -> "Outcome":
    from s3index.publish import publish as protocol

    with console.upload_progress(found) as uploaded:
        bucket = _bucket(config, uploaded, verbose=verbose)
        outcome = bucket.run(protocol(found, config, build.uploaded_by(config.root)))
    console.released(config, found, new=bool(outcome))
    return outcome


def _mark(version: Version, yanked: bool | str, *, verbose: bool) -> None:
    from s3index.publish import yank as protocol

    with console.refusals():
        config = load(ROOT)
        changed = _bucket(config, verbose=verbose).run(protocol(config, version, yanked))
        state = "yanked" if yanked else "not yanked"
        typer.echo(f"{config.project} {version} is {'now' if changed else 'already'} {state}.")


def _verify(config: Config, *, deep: bool, verbose: bool) -> None:
    from s3index.verify import verify as protocol

    findings = _bucket(config, verbose=verbose).run(protocol(config, deep=deep))
    console.verified(config, findings)


def _bucket(
    config: Config, uploaded: "Uploaded | None" = None, *, verbose: bool = False
) -> "Bucket":
    from s3index.bucket import Bucket

    trace = (lambda line: typer.echo(line, err=True)) if verbose else None
    return Bucket(config, uploaded, trace)


def main() -> None:
    """Run the command line."""
    # A run drops little of what it loads: to look for cycles in it would be a third of its time.
    gc.set_threshold(1_000_000)
    atexit.register(gc.freeze)
    app()


if __name__ == "__main__":
    main()
