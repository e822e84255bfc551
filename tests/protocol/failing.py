"""A client's command that has to fail, and what it says then."""

from collections.abc import Callable

import pytest


def fails(command: Callable[..., str], *arguments: object) -> str:
    """Run a client in a way that has to end in failure; return what it printed, unwrapped."""
    with pytest.raises(AssertionError, match=r"ended with [1-9]") as failure:
        command(*arguments)
    return " ".join(str(failure.value).split())
