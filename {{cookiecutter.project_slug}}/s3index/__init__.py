"""Publish this repository's library to an S3 bucket that doubles as a package index."""
