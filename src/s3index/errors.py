"""The only error that commands show to users, and the escaping of untrusted text."""


class Refused(Exception):
    """The request must not be carried out; the message says what to do instead."""


class Denied(Refused):
    """The server denies access: without credentials, or with these."""


def shown(text: str) -> str:
    """Return text with unprintable characters escaped, safe for a terminal and GitHub's log.

    Keys, reasons and names come from the bucket and the environment; a line break before `::`
    would be a command for GitHub's runner, an escape sequence one for the terminal.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
