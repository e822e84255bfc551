"""The error that the command line shows to a person."""


class Refused(Exception):
    """The request must not be carried out; the message says why, and what to do instead."""
