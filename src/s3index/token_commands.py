"""The `s3index token` commands for readers' tokens."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3index.errors import shown
from s3index.settings import NAME, load

if TYPE_CHECKING:
    from s3index.tokens import Store

app = typer.Typer(
    no_args_is_help=True,
    help="Manage readers' tokens for the edge on AWS.",
    epilog="Example: s3index token add alice-laptop",
)


def _days(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,3})d", text, re.ASCII)
    if not found:
        raise typer.BadParameter(f"{text!r} is not a number of days such as 90d.")
    return int(found[1])


def _token_name(text: str) -> str:
    if len(text) > 64 or not re.fullmatch(NAME, text, re.ASCII):
        raise typer.BadParameter(f"{text!r} must be a-z and 0-9, with single hyphens between them.")
    return text


TokenName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", parser=_token_name, help="The token's name: reader and machine."
    ),
]


@app.command("add", epilog="Example: s3index token add alice-laptop --expires 90d")
def add_token(
    name: TokenName,
    expires: Annotated[
        int | None,
        typer.Option(
            parser=_days, metavar="DAYS", help="Days until it expires, such as 90d. Default: never."
        ),
    ] = None,
) -> None:
    """Create a token and print it once: only its digest is stored."""
    with _tokens() as store:
        typer.echo(store.add(name, expires))
        typer.echo(
            "Readers send it as a password, with any user name. It is not shown again.", err=True
        )


@app.command("list", epilog="Example: s3index token list")
def list_tokens() -> None:
    """List the tokens by name, with their expiry dates."""
    with _tokens() as store:
        for name, state in store.states():
            typer.echo(f"{shown(name)}  {state}")


@app.command("revoke", epilog="Example: s3index token revoke alice-laptop")
def revoke_token(name: TokenName) -> None:
    """Revoke a token: it stops working within seconds."""
    with _tokens() as store:
        store.revoke(name)
        typer.echo(f"{name} is revoked.")


@contextmanager
def _tokens() -> "Iterator[Store]":
    from s3index.tokens import opened

    index, _ = load(Path())
    with opened(index) as store:
        yield store
