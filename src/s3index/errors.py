"""The one error that a command shows to a person, and how texts of others are shown."""


class Refused(Exception):
    """The user asked for something that must not be done; the message says what to do instead."""


class Denied(Refused):
    """The server gives no access: to nobody without credentials, or not to these."""


def shown(text: str) -> str:
    """Return a text as a terminal and GitHub's log can show it: what is not printable, escaped.

    Keys, reasons and names come from the bucket and the environment; a line break before `::`
    would be a command for GitHub's runner, an escape sequence one for the terminal.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
