"""Publish a Python library to an S3 bucket that doubles as a package index."""

from importlib.metadata import version

__version__ = version("s3index")
"""The version of this publisher and of the template that it came with."""
