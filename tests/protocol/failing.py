"""Check that a client's command fails, and return its message."""

from collections.abc import Callable

import pytest


def fails(command: Callable[..., str], *arguments: object) -> str:
    """Run a client's command that must fail; return its output, unwrapped."""
    with pytest.raises(AssertionError, match=r"ended with [1-9]") as failure:
        command(*arguments)
    return " ".join(str(failure.value).split())
