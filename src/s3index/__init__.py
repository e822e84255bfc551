"""Publish this repository's library to an S3 bucket that doubles as a package index."""

__version__ = "0.2.0"
"""The version of the template that this publisher came with; its CHANGELOG says what changed."""
